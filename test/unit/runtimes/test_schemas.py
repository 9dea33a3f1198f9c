"""The JSON schemas of contents, and what a runtime is said to have."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from test_server_checks import COMFYUI, DYNAMIC, SAMPLING, changed

from api.content import content_errors, content_schema
from api.faces.v1.models.runtimes import SizesView
from api.faces.v1.runtimes import contents_of
from runtimes.catalog import DeployedRuntime
from runtimes.comfyui.named import found_inputs, schema_of, whole_inputs
from runtimes.flux.options import ModelOptions
from runtimes.live import LiveCatalog, Named
from runtimes.registry import RUNTIME_TYPES
from runtimes.sdwebui.fields import FIELDS

LORAS = [{"name": "ink", "source": "ink.safetensors", "weight": 0.5}]
OPTIONS = ModelOptions.model_validate({"profile": "flux-dev", "loras": LORAS})
CARD = OPTIONS.card
FLUX = DeployedRuntime(name="flux", type="flux", options=OPTIONS)
STATIC = DeployedRuntime(name="static", type="sdwebui", model_filename="a.safetensors")
UNKNOWN = [DeployedRuntime(name=name, type=name) for name in RUNTIME_TYPES]
SAMPLES = sorted(Path("runtimes").glob("*/samples/v1alpha2/*.json"))


def is_valid(content, tasktype, runtime):
    return Draft202012Validator(content_schema(tasktype, runtime)).is_valid(content)


@pytest.mark.parametrize(
    ("runtime", "tasktype"),
    [(runtime, tasktype) for runtime in (*UNKNOWN, COMFYUI, DYNAMIC, STATIC, FLUX) for tasktype in runtime.task_types],
    ids=lambda value: getattr(value, "name", value),
)
def test_each_task_type_has_a_schema_with_an_example_that_is_accepted(runtime, tasktype):
    schema = content_schema(tasktype, runtime)
    Draft202012Validator.check_schema(schema)
    (example,) = schema["examples"]
    assert is_valid(example, tasktype, runtime)
    assert not list(content_errors(example, tasktype, runtime, ()))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_samples_are_of_their_schemas(path):
    text = path.read_text("utf-8").replace("${INPUT_S3_URL}", "s3://b/k").replace("${INPUT_HTTP_URL}", "https://a/b")
    task = json.loads(text)["task"]
    runtime = DeployedRuntime(name="any", type=path.parts[1])
    assert is_valid(task["content"], task["metadata"]["tasktype"], runtime)


def test_fields_of_sd_webui_have_the_types_that_it_gives_them():
    paths = {"text-to-image": "txt2img", "image-to-image": "img2img"}
    kinds = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "list": "array", "dict": "object"}
    declared = json.loads(Path("runtimes/sdwebui/standin/schema.json").read_text())
    for tasktype in FIELDS:
        properties = content_schema(tasktype, STATIC)["properties"]
        for name, (kind, *_) in declared[paths.get(tasktype, tasktype)].items():
            assert properties[name]["type"] == kinds[kind.removesuffix("?")], name


@pytest.mark.parametrize(
    ("tasktype", "content", "valid"),
    [
        ("text-to-image", {"prompt": "a", "sampler_name": "Euler a", "scheduler": "Karras"}, True),
        ("text-to-image", {"prompt": "a", "sampler_name": "Euler"}, False),
        ("text-to-image", {"prompt": "a", "sd_model_checkpoint": "x"}, False),
        ("text-to-image", {"prompt": "a", "width": 4}, False),
        ("text-to-image", {"prompt": "a", "hr_sampler_name": "Use same sampler"}, True),
        ("image-to-image", {"prompt": "a"}, False),
        ("extra-single-image", {"image": "https://a/b", "upscaler_1": "Lanczos"}, True),
    ],
)
def test_a_schema_of_sd_webui_has_what_its_servers_have(tasktype, content, valid):
    assert is_valid(content, tasktype, DYNAMIC) == valid


@pytest.mark.parametrize(
    ("content", "valid"),
    [
        (SAMPLING, True),
        ({"prompt": SAMPLING, "partial_execution_targets": ["6"]}, True),
        (changed("1", "ckpt_name", "x"), False),
        (changed("1", "ckpt_name", ["9", 0]), True),
        ({"prompt": changed("4", "sampler_name", "x")}, False),
        ({"1": {"class_type": "Unknown", "inputs": {}}}, False),
        ({"1": {"class_type": "SaveImage"}}, False),
        ({}, False),
    ],
)
def test_a_schema_of_comfyui_has_the_classes_and_models_of_its_servers(content, valid):
    assert is_valid(content, "pipeline", COMFYUI) == valid


@pytest.mark.parametrize(
    ("content", "valid"),
    [
        ({"prompt": "a", "width": 512, "lora_weights": {"ink": 1}}, True),
        ({"prompt": "a", "lora_weights": {"oil": 1}}, False),
        ({"prompt": "a", "lora_weights": [1, 1]}, False),
        ({"prompt": "a", "width": 500}, False),
        ({"prompt": "a", "unknown": 1}, False),
        ({}, False),
    ],
)
def test_a_schema_of_flux_has_the_limits_and_loras_of_its_model(content, valid):
    own = DeployedRuntime(name="own", type="flux", live=lambda: LiveCatalog(card=CARD))
    assert is_valid(content, "text-to-image", FLUX) == is_valid(content, "text-to-image", own) == valid


def test_a_runtime_has_what_its_servers_say_and_else_what_its_configuration_says():
    comfyui = contents_of(COMFYUI)
    assert (comfyui.is_live, comfyui.models[0], comfyui.sizes) == (True, "a.safetensors", None)
    assert "KSampler" in comfyui.node_classes
    assert comfyui.loras == ("detail.safetensors",)
    webui = contents_of(DYNAMIC)
    assert webui.models == ("a.safetensors [0123456789]", "sub/dreamshaper.safetensors")
    assert (webui.node_classes, webui.sizes) == (
        None,
        SizesView(default=None, multiple_of=None, max_pixels=DYNAMIC.max_pixels),
    )
    static = contents_of(replace(STATIC, live=lambda: LiveCatalog(models=(Named(name="b.ckpt"),))))
    assert static.models == ("a.safetensors",)
    flux = contents_of(FLUX)
    assert (flux.is_live, flux.loras) == (False, ("ink",))
    assert flux.sizes == SizesView(default=512, multiple_of=16, max_pixels=2 * 1024 * 1024)


def test_the_inputs_of_a_workflow_have_the_choices_and_limits_of_the_servers_that_run_it():
    inputs = whole_inputs(SAMPLING, found_inputs(SAMPLING))
    known = schema_of(SAMPLING, inputs, COMFYUI.live())["properties"]
    assert known["checkpoint"]["enum"] == ["a.safetensors", "b.ckpt", "dreamshaper.safetensors"]
    assert "euler" in known["sampler_name"]["enum"]
    assert (known["steps"]["minimum"], known["cfg"]["maximum"]) == (1, 100.0)
    assert "enum" not in known["prompt"]
    unknown = schema_of(SAMPLING, inputs)["properties"]
    assert all("enum" not in one and "minimum" not in one for one in unknown.values())
