"""The model server answers wrongly, dies, hangs or is away, at each call; every task ends once, and rightly."""

import itertools

import pytest
from faultkit.calls import Trouble

LANES = 5
HANG_LANES = 3

_passing = ("500", "garbage", "null", "half a body", "reset", "reset after the deed")
_deaths = ("dies", "dies after the deed")
WEBUI = "/sdapi/v1"
EVENTS, OUTPUTS = "GET /jobs/*/events", "GET /jobs/*/outputs/*"
CALLS = {
    "sdwebui": [
        ("draw", f"POST {WEBUI}/txt2img", (*_passing, *_deaths)),
        ("switch", f"GET {WEBUI}/options", ("500", "garbage", "half a body", "dies")),
        ("switch", f"POST {WEBUI}/options", ("500", "502", "reset", "dies after the deed")),
        ("switch", f"GET {WEBUI}/sd-models", ("500", "garbage", "null", "half a body", "dies")),
        ("upscale", f"GET {WEBUI}/upscalers", ("500", "garbage", "null", "half a body", "dies")),
        ("upscale", f"POST {WEBUI}/extra-single-image", ("500", "garbage", "half a body", "dies")),
    ],
    "comfyui": [
        ("draw", "POST /prompt", (*_passing, "a list", *_deaths)),
        ("draw", "GET /history/*", (*_passing, "a list", *_deaths)),
        ("draw", "GET /view", ("500", "404", "half a body", "reset", *_deaths)),
        ("link", "POST /upload/image", ("500", "garbage", "half a body", "nothing", "reset", *_deaths)),
        ("link", "GET /object_info/*", ("500", "garbage", "half a body", "dies")),
        ("draw", "GET /ws", ("500", "reset")),
    ],
    "flux": [
        ("draw", "POST /jobs", (*_passing, "503", "its worker dies", *_deaths)),
        ("draw", EVENTS, ("500", "garbage", "half a body", "reset", "its worker dies", *_deaths)),
        ("draw", OUTPUTS, ("500", "404", "half a body", "reset", "its worker dies", *_deaths)),
        ("link", "POST /jobs", ("reset after the deed", "dies after the deed")),
    ],
}
LONG = {
    ("sdwebui", f"POST {WEBUI}/txt2img"): {"null", "reset"},
    ("sdwebui", f"GET {WEBUI}/options"): {"500", "half a body"},
    ("sdwebui", f"POST {WEBUI}/options"): {"502", "reset"},
    ("sdwebui", f"GET {WEBUI}/sd-models"): {"500", "null", "half a body", "dies"},
    ("sdwebui", f"GET {WEBUI}/upscalers"): {"500", "null", "half a body", "dies"},
    ("sdwebui", f"POST {WEBUI}/extra-single-image"): {"500", "half a body"},
    ("comfyui", "POST /prompt"): {"null", "a list", "reset"},
    ("comfyui", "GET /history/*"): {"null", "a list", "reset"},
    ("comfyui", "GET /view"): {"404", "reset", "dies"},
    ("comfyui", "POST /upload/image"): {"500", "half a body", "reset", "dies"},
    ("comfyui", "GET /object_info/*"): {"500", "half a body"},
    ("flux", "POST /jobs"): {"null", "reset", "reset after the deed", "dies"},
    ("flux", EVENTS): {"500", "half a body", "its worker dies", "dies"},
    ("flux", OUTPUTS): {"500", "reset", "its worker dies", "dies after the deed"},
}
"""What is done in the long form alone, as the driver takes it like another one."""
NO_FALSE_SUCCESS = ("succeeded", "execution_failed", "no_output")
"""A success is one only with pictures that can be opened; see faultkit.audit."""
FINAL = [
    ("sdwebui", "draw", f"POST {WEBUI}/txt2img", "500 in its words", "execution_failed"),
    ("sdwebui", "draw", f"POST {WEBUI}/txt2img", "422 in its words", "rejected"),
    ("sdwebui", "draw", f"POST {WEBUI}/txt2img", "an empty object", "no_output"),
    ("sdwebui", "draw", f"POST {WEBUI}/txt2img", "500 of a full disk", "succeeded"),
    ("comfyui", "draw", "GET /history/*", "an ending by a full disk", "succeeded"),
    (
        "sdwebui",
        "draw",
        f"POST {WEBUI}/txt2img",
        "pictures that are none",
        "succeeded",
        "execution_failed",
        "no_output",
    ),
    ("sdwebui", "upscale", f"POST {WEBUI}/extra-single-image", "422 in its words", "rejected"),
    ("comfyui", "draw", "POST /prompt", "400 in its words", "rejected"),
    ("comfyui", "draw", "GET /view", "nothing", *NO_FALSE_SUCCESS),
    ("comfyui", "draw", "GET /view", "garbage", *NO_FALSE_SUCCESS),
    ("flux", "draw", "POST /jobs", "422 with its field", "rejected"),
    ("flux", "draw", EVENTS, "a failure in its words", "execution_failed"),
    ("flux", "draw", EVENTS, "a failure by a full disk", "succeeded"),
    ("flux", "draw", OUTPUTS, "nothing", *NO_FALSE_SUCCESS),
    ("flux", "draw", OUTPUTS, "garbage", *NO_FALSE_SUCCESS),
]
HANGING = [
    ("sdwebui", "draw", f"POST {WEBUI}/txt2img"),
    ("sdwebui", "switch", f"GET {WEBUI}/options"),
    ("sdwebui", "switch", f"POST {WEBUI}/options"),
    ("sdwebui", "switch", f"GET {WEBUI}/sd-models"),
    ("sdwebui", "upscale", f"GET {WEBUI}/upscalers"),
    ("comfyui", "draw", "POST /prompt"),
    ("comfyui", "draw", "GET /history/*"),
    ("comfyui", "draw", "GET /view"),
    ("comfyui", "draw", "GET /ws"),
    ("comfyui", "link", "POST /upload/image"),
    ("comfyui", "link", "GET /object_info/*"),
    ("flux", "draw", "POST /jobs"),
    ("flux", "draw", EVENTS),
    ("flux", "draw", OUTPUTS),
]


def troubles():
    numbers = itertools.count()
    for runtime_type, calls in CALLS.items():
        for task, call, kinds in calls:
            for kind in kinds:
                yield Trouble(runtime_type, task, call, kind, lane=next(numbers) % LANES)
    for runtime_type, task, call, kind, *endings in FINAL:
        yield Trouble(runtime_type, task, call, kind, *endings, lane=next(numbers) % LANES)
    for runtime_type, task, call in HANGING:
        lane = f"hanging {next(numbers) % HANG_LANES}"
        yield Trouble(runtime_type, task, call, "hangs", "succeeded", "deadline_exceeded", lane=lane)


def _marks(trouble):
    return [pytest.mark.slow] if trouble.trouble in LONG.get((trouble.runtime_type, trouble.call), ()) else []


@pytest.mark.parametrize("case", [pytest.param(one, marks=_marks(one)) for one in troubles()], ids=str)
def test_a_task_ends_once_and_rightly_though_the_model_server_answers(endings, case):
    assert endings[case] in case.endings
