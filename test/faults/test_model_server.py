"""The model server answers wrongly, dies, hangs or is away at each call; every task ends once, with the right state."""

import base64
import json
import signal
from functools import partial

import pytest

from test.kit.actions import answer, cut, ended_badly, half_body, hang, instead, reset
from test.kit.audit import check_endings
from test.kit.proxy import Action
from test.kit.servers import kill_worker
from test.kit.tasks import switching_content, upscaling_content


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_NO_PICTURE = base64.b64encode(b"this is no picture").decode()
_WEBUI_WORDS = {"error": "RuntimeError", "detail": "", "body": "", "errors": "the proxy's own words"}
_WEBUI_FAULTS = {"detail": [{"loc": ["body", "steps"], "msg": "the proxy's own words", "type": "value_error"}]}
_DISK_FULL = "[Errno 28] No space left on device"
_FLUX_FAULTS = {"detail": [{"field": "request.prompt", "problem": "is the proxy's own word"}]}
_COMFY_WORDS = {"type": "prompt_no_outputs", "message": "the proxy's own words", "details": "", "extra_info": {}}


def _flux_failure(words: str) -> Action:
    """An event of a job's failure."""
    ending = {"state": "failed", "error": {"code": "failed", "message": words}}
    return instead(b"event: end\ndata: " + _json(ending) + b"\n\n", "text/event-stream")


ACTS: dict[str, Action] = {
    "500": answer(500, b"500 Internal Server Error\n\nServer got itself in trouble"),
    "502": answer(502, b"<html>Bad Gateway</html>", "text/html"),
    "500 in its words": answer(500, _json(_WEBUI_WORDS), "application/json"),
    "422 in its words": answer(422, _json(_WEBUI_FAULTS), "application/json"),
    "400 in its words": answer(400, _json({"error": _COMFY_WORDS, "node_errors": {}}), "application/json"),
    "404": answer(404),
    "garbage": instead(b"\x00\xff<garbage>"),
    "null": instead(b"null"),
    "a list": instead(b"[1]"),
    "nothing": instead(b""),
    "an empty object": instead(b"{}"),
    "half a body": half_body(),
    "pictures that are none": instead(_json({"images": [_NO_PICTURE], "parameters": {}, "info": "{}"})),
    "reset": reset(),
    "reset after it is done": reset(after_forwarding=True),
    "hangs": hang(),
    "500 of a full disk": answer(
        500, _json({**_WEBUI_WORDS, "error": "OSError", "errors": _DISK_FULL}), "application/json"
    ),
    "an ending by a full disk": ended_badly("SaveImage", "OSError", _DISK_FULL),
    "422 with its field": answer(422, _json(_FLUX_FAULTS), "application/json"),
    "503": answer(503, _json({"detail": "not ready"}), "application/json"),
    "a failure in its words": _flux_failure("the proxy's own words"),
    "a failure by a full disk": _flux_failure(_DISK_FULL),
}


WEBUI = "/sdapi/v1"
EVENTS, OUTPUTS = "GET /jobs/*/events", "GET /jobs/*/outputs/*"
BAD_ANSWERS = ("500", "garbage", "half a body", "reset after it is done", "dies", "dies after it is done", "hangs")
CALLS = {
    "sdwebui": [
        ("draw", f"POST {WEBUI}/txt2img", BAD_ANSWERS),
        ("switch", f"GET {WEBUI}/options", ("garbage", "dies", "hangs")),
        ("switch", f"POST {WEBUI}/options", ("500", "dies after it is done", "hangs")),
        ("switch", f"GET {WEBUI}/sd-models", ("garbage", "hangs")),
        ("upscale", f"GET {WEBUI}/upscalers", ("garbage", "hangs")),
        ("upscale", f"POST {WEBUI}/extra-single-image", ("garbage", "dies")),
    ],
    "comfyui": [
        ("draw", "POST /prompt", BAD_ANSWERS),
        ("draw", "GET /history/*", BAD_ANSWERS),
        ("draw", "GET /view", ("500", "half a body", "dies after it is done", "hangs")),
        ("link", "POST /upload/image", ("garbage", "nothing", "dies after it is done", "hangs")),
        ("link", "GET /object_info/*", ("garbage", "dies", "hangs")),
        ("draw", "GET /ws", ("500", "reset", "hangs")),
    ],
    "flux": [
        (
            "draw",
            "POST /jobs",
            ("500", "garbage", "half a body", "503", "its worker dies", "dies after it is done", "hangs"),
        ),
        ("draw", EVENTS, ("garbage", "reset", "dies after it is done", "hangs")),
        ("draw", OUTPUTS, ("404", "half a body", "dies", "hangs")),
        ("link", "POST /jobs", ("dies after it is done",)),
    ],
}
"""By type: the task that makes a call, the call, and the answers that a driver handles differently."""
NO_FALSE_SUCCESS = ("succeeded", "execution_failed", "no_output")
"""A success must have pictures that can be opened; see test.kit.audit."""
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
SUBMISSIONS = {
    "draw": lambda rig: rig.submit(),
    "link": lambda rig: rig.submit_with_link(),
    "switch": lambda rig: rig.submit(switching_content(1)),
    "upscale": lambda rig: rig.submit(upscaling_content(), "extra-single-image"),
}
EXECUTION_TIMEOUT_S = "8"
"""More than the 5 s limit for opening a websocket."""


def troubles():
    rows = [
        (runtime_type, task, call, trouble, "succeeded", *(["deadline_exceeded"] if trouble == "hangs" else []))
        for runtime_type, calls in CALLS.items()
        for task, call, troubles in calls
        for trouble in troubles
    ]
    for runtime_type, task, call, trouble, *endings in [*FINAL, *rows]:
        name = f"{runtime_type}: {call.replace('*', 'X')}: {trouble}"
        yield pytest.param(runtime_type, task, (call, trouble), endings, id=name)


def action_of(trouble, pod):
    """The action on a call in a pod."""
    if trouble == "its worker dies":
        return cut(partial(kill_worker, pod.server))
    if trouble.startswith("dies"):
        return cut(partial(pod.server.send, signal.SIGKILL), after_forwarding=trouble != "dies")
    return ACTS[trouble]


@pytest.mark.concurrent
@pytest.mark.parametrize(("runtime_type", "task", "trouble", "endings"), list(troubles()))
def test_a_task_ends_once_and_rightly_though_the_model_server_answers(kit, runtime_type, task, trouble, endings):
    call, how = trouble
    with kit.rig(runtime_type) as rig:
        pod = rig.add_pod(proxied_server=True, EXECUTION_TIMEOUT_S=EXECUTION_TIMEOUT_S).start()
        pod.keep_alive()
        rig.until(lambda: pod.aws.count("sqs:ReceiveMessage"))
        rule = pod.server_proxy.rule(call, action_of(how, pod), times=1)
        if "/ws" in call:
            # The agent already has a socket; a new server makes it open another.
            pod.server.send(signal.SIGKILL)
        task_id = SUBMISSIONS[task](rig)
        rig.wait_until_all_are_notified()
        assert rule.hits == 1
        assert not pod.agent.exits, "the agent ended by itself"
        (notice,) = rig.notices(task_id)
        check_endings(rig, failed=() if notice["result"] else (task_id,))
        assert notice.get("error", {}).get("code", notice["status"]) in endings
