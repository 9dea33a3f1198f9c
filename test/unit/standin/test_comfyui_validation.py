"""The words in which ComfyUI rejects a prompt."""

import pytest

from test.unit.standin.conftest import empty, node, save

FAILED = "Prompt outputs failed validation"
PLAIN_500 = b"500 Internal Server Error\n\nServer got itself in trouble"


def error(kind: str, message: str, details: str = "", **extra) -> dict:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


CYCLE = {"1": node("ImageInvert", image=["2", 0]), "2": node("ImageInvert", image=["1", 0]), "3": save("2")}
WHOLE = {
    "unknown class": (
        {"1": node("NoSuchNode")},
        error("invalid_prompt", "Cannot execute because node NoSuchNode does not exist.", "Node ID '#1'"),
    ),
    "no class_type": (
        {"1": {"inputs": {}}},
        error("invalid_prompt", "Cannot execute because a node is missing the class_type property.", "Node ID '#1'"),
    ),
    "no outputs": ({"1": empty()}, error("prompt_no_outputs", "Prompt has no outputs")),
    "empty": ({}, error("prompt_no_outputs", "Prompt has no outputs")),
    "cycle": (CYCLE, error("prompt_outputs_failed_validation", FAILED)),
}


@pytest.mark.parametrize("case", WHOLE)
async def test_a_prompt_without_a_node_to_blame_is_rejected_with_empty_node_errors(comfy, case):
    prompt, expected = WHOLE[case]
    assert await comfy.ask("POST", "/prompt", {"prompt": prompt}) == (400, {"error": expected, "node_errors": {}})


async def test_only_outputs_that_are_asked_for_are_looked_at(comfy):
    body = {"prompt": {"1": empty(), "2": save(), "3": save("77")}, "partial_execution_targets": ["2"]}
    assert (await comfy.post("/prompt", body))["node_errors"] == {}
    _, rejected = await comfy.ask("POST", "/prompt", {**body, "partial_execution_targets": ["1"]})
    assert rejected["error"] == error("prompt_no_outputs", "Prompt has no outputs")


@pytest.mark.parametrize("body", [b"hello", b'{"prompt": [1]}'])
async def test_what_is_no_object_breaks_the_server_in_plain_text(comfy, body):
    headers = {"Content-Type": "application/json"}
    assert await comfy.ask("POST", "/prompt", data=body, headers=headers) == (500, PLAIN_500)


WIDTH = ["INT", {"default": 512, "min": 1, "max": 16384, "step": 1}]
METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
NOT_INT = "invalid literal for int() with base 10: 'abc'"
MISMATCH = "images, received_type(CONDITIONING) mismatch input_type(IMAGE)"
BLAMED = {
    "too small": (
        {"1": empty(width=-5), "2": save()},
        "1",
        error(
            "value_smaller_than_min",
            "Value -5 smaller than min of 1",
            "width",
            input_name="width",
            input_config=WIDTH,
            received_value=-5,
        ),
    ),
    "missing": (
        {"1": node("EmptyImage", width=8, height=8, color=0), "2": save()},
        "1",
        error("required_input_missing", "Required input is missing", "batch_size", input_name="batch_size"),
    ),
    "not in list": (
        {
            "0": empty(),
            "1": node("ImageScale", image=["0", 0], upscale_method="magic", width=10, height=10, crop="disabled"),
            "2": save(),
        },
        "1",
        error(
            "value_not_in_list",
            "Value not in list",
            f"upscale_method: 'magic' not in {METHODS}",
            input_name="upscale_method",
            input_config=[METHODS, {}],
            received_value="magic",
        ),
    ),
    "wrong type": (
        {"1": empty(width="abc"), "2": save()},
        "1",
        error(
            "invalid_input_type",
            "Failed to convert an input value to a INT value",
            f"width, abc, {NOT_INT}",
            input_name="width",
            input_config=WIDTH,
            received_value="abc",
            exception_message=NOT_INT,
        ),
    ),
    "wrong link": (
        {"0": empty(), "1": node("CLIPTextEncode", text="a", clip=["0", 0]), "2": save()},
        "2",
        error(
            "return_type_mismatch",
            "Return type mismatch between linked nodes",
            MISMATCH,
            input_name="images",
            input_config=["IMAGE", {"tooltip": "The images to save."}],
            received_type="CONDITIONING",
            linked_node=["1", 0],
        ),
    ),
    "no upload": (
        {"1": node("LoadImage", image="gone.png"), "2": save()},
        "1",
        error(
            "custom_validation_failed",
            "Custom validation failed for node",
            "image - Invalid image file: gone.png",
            input_name="image",
        ),
    ),
    "link to nowhere": (
        {"2": save("9")},
        "2",
        error("exception_during_validation", "Exception when validating node", "'9'", exception_type="KeyError"),
    ),
    "link to nowhere further up": (
        {"1": node("ImageInvert", image=["9", 0]), "2": save()},
        "1",
        error(
            "exception_during_inner_validation",
            "Exception when validating inner node",
            "'9'",
            exception_type="KeyError",
        ),
    ),
}


@pytest.mark.parametrize("case", BLAMED)
async def test_an_error_is_found_under_its_node_and_its_output_is_named(comfy, case):
    prompt, blamed, expected = BLAMED[case]
    status, body = await comfy.ask("POST", "/prompt", {"prompt": prompt})
    words = f"{expected['message']}: {expected['details']}" if blamed == "2" else ""
    assert (status, body["error"]) == (400, error("prompt_outputs_failed_validation", FAILED, words))
    class_type = prompt[blamed]["class_type"]
    entry = {"errors": [expected], "dependent_outputs": ["2"], "class_type": class_type}
    assert body["node_errors"] == {blamed: entry}


async def test_with_one_good_output_only_the_good_part_runs(comfy):
    body = await comfy.post("/prompt", {"prompt": {"1": empty(), "2": save(), "3": save("9")}})
    assert list(body["node_errors"]) == ["3"]
    entry = await comfy.entry(body["prompt_id"])
    assert (list(entry["outputs"]), entry["prompt"][4]) == (["2"], ["2"])
