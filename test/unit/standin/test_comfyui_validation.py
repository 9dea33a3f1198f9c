"""The words in which ComfyUI rejects a prompt."""

import pytest

from test.kit.tasks import empty_image, node, save_image

FAILED = "Prompt outputs failed validation"
CYCLE = {"1": node("ImageInvert", image=["2", 0]), "2": node("ImageInvert", image=["1", 0]), "3": save_image("2")}
MISSING = "Cannot execute because a node is missing the class_type property."
WHOLE = [
    ({"1": node("NoSuchNode")}, "invalid_prompt", "Cannot execute because node NoSuchNode does not exist."),
    ({"1": {"inputs": {}}}, "invalid_prompt", MISSING),
    ({"1": empty_image()}, "prompt_no_outputs", "Prompt has no outputs"),
    (CYCLE, "prompt_outputs_failed_validation", FAILED),
]


@pytest.mark.parametrize(("prompt", "kind", "message"), WHOLE)
async def test_a_prompt_without_a_node_to_blame_is_rejected_with_empty_node_errors(comfy, prompt, kind, message):
    status, body = await comfy.ask("POST", "/prompt", {"prompt": prompt})
    assert (status, body["node_errors"]) == (400, {})
    assert (body["error"]["type"], body["error"]["message"]) == (kind, message)


METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
SCALE = node("ImageScale", image=["0", 0], upscale_method="magic", width=10, height=10, crop="disabled")
BLAMED = [
    ({"1": empty_image(width=-5)}, "Value -5 smaller than min of 1: width"),
    ({"1": node("EmptyImage", width=8, height=8, color=0)}, "Required input is missing: batch_size"),
    ({"0": empty_image(), "1": SCALE}, f"Value not in list: upscale_method: 'magic' not in {METHODS}"),
    (
        {"1": empty_image(width="abc")},
        "Failed to convert an input value to a INT value: width, abc, invalid literal for int() with base 10: 'abc'",
    ),
    (
        {"0": empty_image(), "1": node("VAEDecode", samples=["0", 0], vae=["0", 0])},
        "Return type mismatch between linked nodes: samples, received_type(IMAGE) mismatch input_type(LATENT)",
    ),
    (
        {"1": node("LoadImage", image="gone.png")},
        "Custom validation failed for node: image - Invalid image file: gone.png",
    ),
    ({"1": node("ImageInvert", image=["9", 0])}, "Exception when validating inner node: '9'"),
    ({"1": node("ImageInvert", image=[1, 2, 3])}, "Bad linked input, must be a length-2 list of [node_id, slot_index]"),
]


@pytest.mark.parametrize(("nodes", "words"), BLAMED)
async def test_an_error_is_found_under_its_node_with_the_output_that_needs_it(comfy, nodes, words):
    status, body = await comfy.ask("POST", "/prompt", {"prompt": {**nodes, "2": save_image()}})
    assert (status, body["error"]["message"], body["error"]["details"]) == (400, FAILED, "")
    assert body["node_errors"]["1"]["dependent_outputs"] == ["2"]
    assert body["node_errors"]["1"]["class_type"] == nodes["1"]["class_type"]
    error = body["node_errors"]["1"]["errors"][0]
    assert f"{error['message']}: {error['details']}".startswith(words)


async def test_with_one_good_output_only_the_good_part_runs_and_only_outputs_asked_for_are_looked_at(comfy):
    prompt = {"1": empty_image(), "2": save_image(), "3": save_image("9")}
    body = await comfy.post("/prompt", {"prompt": prompt})
    (error,) = body["node_errors"].pop("3")["errors"]
    assert (error["type"], error["message"]) == ("exception_during_validation", "Exception when validating node")
    entry = await comfy.entry(body["prompt_id"])
    assert (list(entry["outputs"]), entry["prompt"][4], body["node_errors"]) == (["2"], ["2"], {})
    asked = {"prompt": prompt, "partial_execution_targets": ["2"]}
    assert (await comfy.post("/prompt", asked))["node_errors"] == {}
    _, rejected = await comfy.ask("POST", "/prompt", {**asked, "partial_execution_targets": ["1"]})
    assert rejected["error"]["type"] == "prompt_no_outputs"
