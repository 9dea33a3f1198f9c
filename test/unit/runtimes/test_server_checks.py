"""What the API rejects, or warns of, by what the model servers have said that they have."""

import copy
import json
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from api.content import content_errors, ignored_content
from runtimes.catalog import DeployedRuntime
from runtimes.comfyui.driver.catalog import catalog_of
from runtimes.comfyui.standin.nodes import DECLARED, Library
from runtimes.comfyui.standin.validation import validate
from runtimes.flux.options import ModelOptions
from runtimes.live import LiveCatalog, Named
from test.kit.tasks import content_of, node, save_image

CHECKPOINTS = ("a.safetensors", "b.ckpt", "dreamshaper.safetensors")
LIBRARY = Library(CHECKPOINTS, SimpleNamespace(root=Path("nowhere"), input_file=lambda name: None))
PACK = {
    "Custom": {
        "input": {"required": {"mode": [["fast", "slow"]], "size": ["INT", {"min": 8}]}},
        "python_module": "custom_nodes.pack",
        "output_node": True,
    },
    "LoadImage": {"input": {"required": {"image": [["x.png"], {"image_upload": True}]}}, "python_module": "nodes"},
    "LoadLatent": {"input": {"required": {"latent": [["x.latent"]]}}, "python_module": "nodes", "output_node": True},
}
OBJECT_INFO = {
    **{name: LIBRARY.declaration(one) for name, one in DECLARED.items() if name != "LoadImage"},
    **PACK,
}
COMFYUI = DeployedRuntime(name="comfy", type="comfyui", live=lambda: catalog_of(OBJECT_INFO))
SAMPLING = content_of("comfyui")
WEBUI = LiveCatalog(
    models=(
        Named(name="a.safetensors [0123456789]", aliases=("a", "0123456789")),
        Named(name="sub/dreamshaper.safetensors", aliases=("sub_dreamshaper", "dreamshaper.safetensors")),
    ),
    samplers=(Named(name="DPM++ 2M", aliases=("k_dpmpp_2m",)), Named(name="Euler a")),
    schedulers=(Named(name="Karras", aliases=("karras",)),),
    upscalers=(Named(name="Latent"), Named(name="Lanczos")),
    loras=(Named(name="ink-lines", aliases=("Ink v2",)),),
    vaes=(Named(name="vae.pt"),),
)
DYNAMIC = DeployedRuntime(name="dynamic", type="sdwebui", dynamic_model=True, live=lambda: WEBUI)
T2I, SINGLE = "text-to-image", "extra-single-image"


def changed(node_id, name, value, content=SAMPLING):
    content = copy.deepcopy(content)
    content[node_id]["inputs"][name] = value
    return content


def errors(content, runtime=COMFYUI, tasktype="pipeline"):
    return [(error.pointer, error.detail) for error in content_errors(content, tasktype, runtime, ())]


def warnings(content, runtime=COMFYUI, tasktype="pipeline"):
    return [(error.pointer, error.detail) for error in ignored_content(content, tasktype, runtime, ())]


@pytest.mark.parametrize(
    ("content", "field", "words"),
    [
        (
            changed("1", "ckpt_name", "dreamshapr.safetensors"),
            "1.inputs.ckpt_name",
            'names nothing that CheckpointLoaderSimple (node 1) has: "dreamshapr.safetensors"; there are '
            "a.safetensors, b.ckpt, dreamshaper.safetensors; did you mean dreamshaper.safetensors?",
        ),
        (changed("4", "sampler_name", "eular"), "4.inputs.sampler_name", "did you mean euler?"),
        (changed("4", "steps", 0), "4.inputs.steps", "must be at least 1 for KSampler (node 4), not 0"),
        (changed("4", "cfg", 1000), "4.inputs.cfg", "must be at most 100.0 for KSampler (node 4), not 1000"),
        (
            {**SAMPLING, "9": node("SaveImag", images=["5", 0])},
            "9.class_type",
            'is no node class that the servers have: "SaveImag" (node 9); did you mean SaveImage?',
        ),
        ({"prompt": changed("1", "ckpt_name", "x")}, "prompt.1.inputs.ckpt_name", "there are a.safetensors"),
    ],
)
def test_a_workflow_that_the_servers_would_reject_is_rejected_with_the_nearest_name(content, field, words):
    ((pointer, detail),) = errors(content)
    assert pointer == field
    assert words in detail


UNUSED = {**SAMPLING, "9": node("CheckpointLoaderSimple", ckpt_name="unused")}


@pytest.mark.parametrize(
    "content",
    [
        SAMPLING,
        UNUSED,  # nothing reads it, so it does not run
        {"prompt": {**changed("1", "ckpt_name", "x"), "7": node("Custom", mode="fast", size=8)},
         "partial_execution_targets": ["7"]},
        changed("1", "ckpt_name", ["2", 0]),  # another node says which
        *[changed("1", "ckpt_name", text) for text in ("https://a/b.safetensors", "data:x;base64,AA", "/9j/4AAQ")],
        {"1": node("LoadImage", image="anything.png"), "2": save_image()},
        {"1": node("LoadLatent", latent="new.latent")},
        changed("4", "steps", "20"),
        changed("4", "an_input_of_a_later_version", "x"),
    ],
)  # fmt: skip
def test_what_the_servers_may_accept_is_accepted(content):
    assert errors(content) == []


def test_a_class_that_may_check_its_inputs_itself_is_warned_of_at_most():
    content = {"1": node("Custom", mode="medium", size=2)}
    assert errors(content) == []
    assert warnings(content) == [
        (
            "1.inputs.mode",
            'names nothing that Custom (node 1) has: "medium"; there are fast, slow; the node may reject it',
        ),
        ("1.inputs.size", "must be at least 8 for Custom (node 1), not 2; the node may reject it"),
    ]
    assert warnings(SAMPLING) == []


def test_no_workflow_that_comfyui_accepts_is_rejected():
    """Workflows with values exchanged at random, against ComfyUI's own checks as the stand-in has them."""
    chance = random.Random(7)
    values = [*CHECKPOINTS, "x.safetensors", "euler", "normal", "karras", 0, 1, 8, 10**6, -1, 0.5, True, None, ["1", 0]]
    classes, rejected = [name for name in DECLARED if name != "LoadImage"], 0
    catalog = catalog_of({name: LIBRARY.declaration(DECLARED[name]) for name in classes})
    runtime = replace(COMFYUI, live=lambda: catalog)
    for _ in range(2000):
        content = copy.deepcopy(SAMPLING)
        for _ in range(chance.randint(1, 3)):
            place = content[chance.choice([*content])]
            if chance.random() < 0.1:
                place["class_type"] = chance.choice([*classes, "Unknown"])
            elif place["inputs"]:
                place["inputs"][chance.choice([*place["inputs"]])] = chance.choice(values)
        if errors(content, runtime):
            rejected += 1
            verdict = validate(copy.deepcopy(content), LIBRARY)
            assert verdict.error or verdict.node_errors, json.dumps(content)
    assert rejected > 500


def test_a_hostile_workflow_costs_little_time():
    """The nearest name is sought for a few errors alone."""
    many = {str(number): node("CheckpointLoaderSimpel", ckpt_name="x") for number in range(20_000)}
    found = errors(many)
    assert len(found) == 101
    assert sum("did you mean" in detail for _, detail in found) == 10


@pytest.mark.parametrize("live", [None, LiveCatalog()])
@pytest.mark.parametrize(
    ("runtime", "tasktype", "content"),
    [
        (COMFYUI, "pipeline", changed("1", "ckpt_name", "x")),
        (DYNAMIC, T2I, {"sd_model_checkpoint": "x", "sampler_name": "x", "hr_upscaler": "x"}),
    ],
)
def test_without_a_catalog_all_of_this_is_left_to_the_servers(runtime, tasktype, content, live):
    runtime = replace(runtime, live=lambda: live)
    assert errors(content, runtime, tasktype) == []
    assert warnings(content, runtime, tasktype) == []


@pytest.mark.parametrize(
    ("tasktype", "content", "field", "words"),
    [
        (
            T2I,
            {"sd_model_checkpoint": "dreamshapr.safetensors"},
            "sd_model_checkpoint",
            "did you mean dreamshaper.safetensors?",
        ),
        (T2I, {"refiner_checkpoint": "x.ckpt"}, "refiner_checkpoint", 'names no checkpoint of the servers: "x.ckpt"'),
        (T2I, {"hr_upscaler": "lanczo"}, "hr_upscaler", "there are Latent, Lanczos; did you mean Lanczos?"),
        (SINGLE, {"image": "aGk=", "upscaler_1": "x"}, "upscaler_1", 'names no upscaler of the servers: "x"'),
    ],
)
def test_what_the_agent_would_not_find_on_sd_webui_is_rejected(tasktype, content, field, words):
    ((pointer, detail),) = errors(content, DYNAMIC, tasktype)
    assert pointer == field
    assert words in detail


@pytest.mark.parametrize(
    ("tasktype", "content"),
    [
        (T2I, {"sd_model_checkpoint": "A [0123456789]", "hr_upscaler": "LATENT"}),
        (T2I, {"sd_model_checkpoint": "dreamshaper"}),
        (T2I, {"sd_model_checkpoint": "f" * 10}),  # a hash
        (T2I, {"sampler_name": "nope", "scheduler": "nope", "prompt": "<lora:nope:1>"}),
        (SINGLE, {"image": "aGk=", "override_settings": {"sd_model_checkpoint": "x"}}),  # no checkpoint draws
        (SINGLE, {"image": "aGk=", "hr_upscaler": "x"}),  # no field of this task type
    ],
)
def test_what_sd_webui_may_do_is_accepted(tasktype, content):
    assert errors(content, DYNAMIC, tasktype) == []


def test_a_static_runtime_has_its_own_checkpoint_whatever_the_servers_say():
    static = replace(DYNAMIC, dynamic_model=False, model_filename="other.safetensors")
    assert errors({"sd_model_checkpoint": "other"}, static, T2I) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"sampler_name": "DPM++ 2M Karras", "scheduler": "karras"}, []),
        ({"sampler_name": "k_dpmpp_2m", "prompt": "a <lora:INK v2:0.5>"}, []),
        ({"override_settings": {"sd_vae": "Automatic"}}, []),
        ({"sampler_name": "Euler b"}, [("sampler_name", "did you mean Euler a?; another one is used")]),
        ({"scheduler": "x"}, [("scheduler", "there are Karras; another one is used")]),
        ({"prompt": "a <lora:ink-line:1>"}, [("prompt", "did you mean ink-lines?; the picture is drawn without it")]),
        ({"override_settings": {"sd_vae": "x.pt"}}, [("override_settings.sd_vae", "the picture is drawn without it")]),
    ],
)
def test_what_sd_webui_replaces_without_a_word_is_warned_of(content, expected):
    found = warnings(content, DYNAMIC, T2I)
    assert [(pointer, words in detail) for (pointer, detail), (_, words) in zip(found, expected, strict=True)] == [
        (pointer, True) for pointer, _ in expected
    ]


def test_a_model_that_only_its_files_describe_is_checked_by_what_its_server_says():
    card = ModelOptions(profile="flux-fill").card
    unknown = DeployedRuntime(name="own", type="flux")
    asked = {"prompt": "a", "width": 512}
    assert errors(asked, unknown, T2I) == []
    ((_, detail),) = errors(asked, replace(unknown, live=lambda: LiveCatalog(card=card)), T2I)
    assert "which this model does not do" in detail
