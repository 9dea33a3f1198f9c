"""The words in which ComfyUI refuses a prompt."""

import pytest

FAILED = "Prompt outputs failed validation"
PLAIN_500 = b"500 Internal Server Error\n\nServer got itself in trouble"


def save(source: str = "1") -> dict:
    return {"class_type": "SaveImage", "inputs": {"images": [source, 0], "filename_prefix": "x"}}


def empty(**inputs) -> dict:
    plain = {"width": 8, "height": 8, "batch_size": 1, "color": 0}
    return {"class_type": "EmptyImage", "inputs": {**plain, **inputs}}


def error(kind: str, message: str, details: str = "") -> dict:
    return {"type": kind, "message": message, "details": details, "extra_info": {}}


WHOLE = {
    "unknown class": (
        {"1": {"class_type": "NoSuchNode", "inputs": {}}},
        error("invalid_prompt", "Cannot execute because node NoSuchNode does not exist.", "Node ID '#1'"),
    ),
    "no class_type": (
        {"1": {"inputs": {}}},
        error("invalid_prompt", "Cannot execute because a node is missing the class_type property.", "Node ID '#1'"),
    ),
    "no outputs": ({"1": empty()}, error("prompt_no_outputs", "Prompt has no outputs")),
    "empty": ({}, error("prompt_no_outputs", "Prompt has no outputs")),
    "cycle": (
        {
            "1": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}},
            "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
            "3": save("2"),
        },
        error("prompt_outputs_failed_validation", FAILED),
    ),
}


@pytest.mark.parametrize("case", WHOLE)
async def test_a_prompt_without_a_node_to_blame_is_refused_with_empty_node_errors(comfy, case):
    prompt, expected = WHOLE[case]
    assert await comfy.ask("POST", "/prompt", {"prompt": prompt}) == (400, {"error": expected, "node_errors": {}})


async def test_outputs_that_are_not_asked_for_are_not_looked_at(comfy):
    prompt = {"1": empty(), "2": save(), "3": save("77")}
    status, told = await comfy.ask("POST", "/prompt", {"prompt": prompt, "partial_execution_targets": ["2"]})
    assert (status, told["node_errors"]) == (200, {})
    _, refused = await comfy.ask("POST", "/prompt", {"prompt": prompt, "partial_execution_targets": ["1"]})
    assert refused["error"] == error("prompt_no_outputs", "Prompt has no outputs")


@pytest.mark.parametrize("body", [b"hello", b'{"prompt": [1]}'])
async def test_what_is_no_object_breaks_the_server_in_plain_text(comfy, body):
    headers = {"Content-Type": "application/json"}
    assert await comfy.ask("POST", "/prompt", data=body, headers=headers) == (500, PLAIN_500)


async def blamed(comfy, prompt: dict) -> tuple[dict, dict]:
    status, body = await comfy.ask("POST", "/prompt", {"prompt": prompt})
    assert status == 400
    assert body["error"]["type"] == "prompt_outputs_failed_validation"
    assert body["error"]["message"] == FAILED
    return body["error"], body["node_errors"]


async def test_every_fault_of_a_value_is_told_under_its_node(comfy):
    bad = empty(width=-5)
    del bad["inputs"]["batch_size"]
    scale = {"image": ["1", 0], "upscale_method": "magic", "width": 10, "height": 10, "crop": "disabled"}
    prompt = {"1": bad, "2": {"class_type": "ImageScale", "inputs": scale}, "3": save("2")}
    top, errors = await blamed(comfy, prompt)
    config = ["INT", {"default": 512, "min": 1, "max": 16384, "step": 1}]
    told = {one["type"]: one for one in errors["1"]["errors"]}
    assert (top["details"], list(errors)) == ("", ["1", "2"])
    assert told["value_smaller_than_min"] == {
        "type": "value_smaller_than_min",
        "message": "Value -5 smaller than min of 1",
        "details": "width",
        "extra_info": {"input_name": "width", "input_config": config, "received_value": -5},
    }
    assert told["required_input_missing"] == {
        "type": "required_input_missing",
        "message": "Required input is missing",
        "details": "batch_size",
        "extra_info": {"input_name": "batch_size"},
    }
    methods = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
    about = {"input_name": "upscale_method", "input_config": [methods, {}], "received_value": "magic"}
    words = f"upscale_method: 'magic' not in {methods}"
    expected = {"type": "value_not_in_list", "message": "Value not in list", "details": words, "extra_info": about}
    assert errors["2"] == {"errors": [expected], "dependent_outputs": ["3"], "class_type": "ImageScale"}


async def test_a_value_of_the_wrong_type_is_refused(comfy):
    _, errors = await blamed(comfy, {"1": empty(width="abc"), "2": save()})
    words = "invalid literal for int() with base 10: 'abc'"
    fault = errors["1"]["errors"][0]
    assert fault["type"] == "invalid_input_type"
    assert fault["message"] == "Failed to convert an input value to a INT value"
    assert fault["details"] == f"width, abc, {words}"
    assert fault["extra_info"]["exception_message"] == words


async def test_a_link_of_the_wrong_type_is_refused(comfy):
    prompt = {
        "1": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["2", 0]}},
        "2": empty(),
        "3": save(),
    }
    top, errors = await blamed(comfy, prompt)
    details = "images, received_type(CONDITIONING) mismatch input_type(IMAGE)"
    assert top["details"] == f"Return type mismatch between linked nodes: {details}"
    about = {"input_name": "images", "input_config": ["IMAGE", {"tooltip": "The images to save."}]}
    assert errors["3"]["errors"] == [
        {
            "type": "return_type_mismatch",
            "message": "Return type mismatch between linked nodes",
            "details": details,
            "extra_info": {**about, "received_type": "CONDITIONING", "linked_node": ["1", 0]},
        }
    ]


@pytest.mark.parametrize(
    ("node", "words"), [(save("9"), "'9'"), ({"class_type": "SaveImage"}, "'inputs'")], ids=["link", "inputs"]
)
async def test_a_link_to_nowhere_and_missing_inputs_are_exceptions(comfy, node, words):
    top, errors = await blamed(comfy, {"3": node})
    fault = errors["3"]["errors"][0]
    assert top["details"] == f"Exception when validating node: {words}"
    assert (fault["type"], fault["details"]) == ("exception_during_validation", words)
    assert fault["extra_info"]["exception_type"] == "KeyError"
    assert fault["extra_info"]["traceback"][0].startswith('  File "/srv/comfyui/execution.py"')


async def test_a_link_to_nowhere_further_up_is_blamed_on_the_node_that_has_it(comfy):
    _, errors = await blamed(comfy, {"1": {"class_type": "ImageInvert", "inputs": {"image": ["9", 0]}}, "2": save()})
    assert list(errors) == ["1"]
    assert errors["1"]["errors"][0]["type"] == "exception_during_inner_validation"
    assert errors["1"]["dependent_outputs"] == ["2"]


async def test_an_upload_that_is_not_there_is_refused(comfy):
    prompt = {"1": {"class_type": "LoadImage", "inputs": {"image": "gone.png"}}, "2": save()}
    _, errors = await blamed(comfy, prompt)
    assert errors["1"]["errors"] == [
        {
            "type": "custom_validation_failed",
            "message": "Custom validation failed for node",
            "details": "image - Invalid image file: gone.png",
            "extra_info": {"input_name": "image"},
        }
    ]


async def test_with_one_good_output_only_the_good_part_runs(comfy):
    status, body = await comfy.ask("POST", "/prompt", {"prompt": {"1": empty(), "2": save(), "3": save("9")}})
    assert status == 200
    assert list(body["node_errors"]) == ["3"]
    entry = await comfy.entry(body["prompt_id"])
    assert list(entry["outputs"]) == ["2"]
    assert entry["prompt"][4] == ["2"]
