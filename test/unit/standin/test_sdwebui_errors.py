"""The words in which SD WebUI says no."""

import pytest

from runtimes.standin.faults import OUT_OF_MEMORY_WORDS


def trouble(kind: str, words: str = "", detail: str = "") -> dict:
    return {"error": kind, "detail": detail, "body": "", "errors": words}


def unfit(field: str, message: str, kind: str, **more) -> dict:
    return {"detail": [{"loc": ["body", field], "msg": message, "type": kind, **more}]}


SMALL = "Kernel size: (3 x 3). Kernel size can't be greater than actual input size"
BROKEN = {
    "steps 0": ({"steps": 0}, trouble("ZeroDivisionError", "integer division or modulo by zero")),
    "steps -1": ({"steps": -1}, trouble("RuntimeError", "number of steps must be non-negative")),
    "batch_size 0": ({"batch_size": 0}, trouble("IndexError", "list index out of range")),
    "n_iter beyond memory": ({"n_iter": 10**9}, trouble("MemoryError", "")),
    "batch_size beyond memory": ({"batch_size": 5000}, trouble("OutOfMemoryError", OUT_OF_MEMORY_WORDS)),
    "n_iter 0": ({"n_iter": 0}, trouble("IndexError", "list index out of range")),
    "width 0": (
        {"width": 0},
        trouble("RuntimeError", f"Calculated padded input size per channel: (10 x 2). {SMALL}"),
    ),
    "width 4": (
        {"width": 4, "height": 4},
        trouble("RuntimeError", f"Calculated padded input size per channel: (2 x 2). {SMALL}"),
    ),
    "width -64": (
        {"width": -64},
        trouble("RuntimeError", "Trying to create tensor with negative dimension -8: [4, 8, -8]"),
    ),
    "prompt null": ({"prompt": None}, trouble("AssertionError")),
    "override key": ({"override_settings": {"nope": 1}}, trouble("KeyError", "'nope'")),
    "hr upscaler": (
        {"enable_hr": True, "hr_upscaler": "Nope"},
        trouble("Exception", "could not find upscaler named Nope"),
    ),
    "refiner": (
        {"refiner_checkpoint": "nope", "refiner_switch_at": 0.5},
        trouble("Exception", "Could not find checkpoint with name nope"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_what_breaks_the_real_server_is_answered_with_its_words(webui, case):
    body, expected = BROKEN[case]
    assert await webui.refused(**body) == (500, expected)


UNFIT = {
    "integer": ({"width": "abc"}, unfit("width", "value is not a valid integer", "type_error.integer")),
    "float": ({"cfg_scale": "hi"}, unfit("cfg_scale", "value is not a valid float", "type_error.float")),
    "str": ({"prompt": ["a", "b"]}, unfit("prompt", "str type expected", "type_error.str")),
    "seed": ({"seed": "x"}, unfit("seed", "value is not a valid integer", "type_error.integer")),
    "null": (
        {"send_images": None},
        unfit("send_images", "none is not an allowed value", "type_error.none.not_allowed"),
    ),
}


@pytest.mark.parametrize("case", UNFIT)
async def test_a_value_of_the_wrong_type_is_named_in_pydantic_1_words(webui, case):
    body, expected = UNFIT[case]
    assert await webui.refused(**body) == (422, expected)


async def test_limits_of_extras_are_named_with_their_value(webui, b64):
    factor = await webui.refused("extra-single-image", image=b64(), upscaling_resize=0)
    mode = await webui.refused("extra-single-image", image=b64(), resize_mode=7)
    limit = {"ctx": {"limit_value": 0}}
    assert factor == (
        422,
        unfit("upscaling_resize", "ensure this value is greater than 0", "value_error.number.not_gt", **limit),
    )
    given = {"ctx": {"given": 7, "permitted": [0, 1]}}
    assert mode == (422, unfit("resize_mode", "unexpected value; permitted: 0, 1", "value_error.const", **given))


@pytest.mark.parametrize("script", [{"script_name": "Nope"}, {"alwayson_scripts": {"Nope": {"args": []}}}])
async def test_an_unknown_script_is_refused(webui, script):
    assert await webui.refused(**script) == (422, trouble("HTTPException", detail="Script 'Nope' not found"))


async def test_a_missing_init_image_is_not_found(webui):
    assert await webui.refused("img2img") == (404, trouble("HTTPException", detail="Init image not found"))


INITS = {
    "empty": (
        [],
        trouble("RuntimeError", "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [0]"),
    ),
    "no base64": (["hello"], trouble("HTTPException", detail="Invalid encoded image")),
    "no picture": (["eHh4eHh4eHg="], trouble("HTTPException", detail="Invalid encoded image")),
    "local link": (
        ["http://127.0.0.1:7861/x.png"],
        trouble("HTTPException", detail="Request to local resource not allowed"),
    ),
    "localhost": (["http://localhost/x.png"], trouble("HTTPException", detail="Request to local resource not allowed")),
    "link": (["https://example.com/x.png"], trouble("HTTPException", detail="Invalid image url")),
}


@pytest.mark.parametrize("case", INITS)
async def test_an_init_image_that_cannot_be_read_is_refused(webui, case):
    images, expected = INITS[case]
    assert await webui.refused("img2img", init_images=images) == (500, expected)


async def test_a_body_that_is_no_object_is_told_where_it_breaks(webui):
    path = "/sdapi/v1/txt2img"
    context = {"msg": "Expecting value", "doc": "hello", "pos": 0, "lineno": 1, "colno": 1}
    told = {"loc": ["body", 0], "msg": "Expecting value: line 1 column 1 (char 0)", "type": "value_error.jsondecode"}
    assert await webui.ask("POST", path, data=b"hello") == (422, {"detail": [{**told, "ctx": context}]})
    dict_words = {"loc": ["body"], "msg": "value is not a valid dict", "type": "type_error.dict"}
    assert await webui.ask("POST", path, [1]) == (422, {"detail": [dict_words]})
    missing = {"loc": ["body"], "msg": "field required", "type": "value_error.missing"}
    assert await webui.ask("POST", path) == (422, {"detail": [missing]})


async def test_unknown_paths_and_methods_are_refused_in_fastapis_words(webui):
    assert await webui.ask("GET", "/sdapi/v1/nonesuch") == (404, {"detail": "Not Found"})
    assert await webui.ask("GET", "/sdapi/v1/txt2img") == (405, {"detail": "Method Not Allowed"})


async def test_without_any_checkpoint_drawing_fails_and_extras_work(empty_webui, b64):
    status, body = await empty_webui.refused()
    assert (status, body["error"]) == (500, "FileNotFoundError")
    assert body["errors"].startswith("No checkpoints found. When searching for checkpoints, looked at:\n - file ")
    assert await empty_webui.get("/sdapi/v1/sd-models") == []
    await empty_webui.post("/sdapi/v1/extra-single-image", {"image": b64(), "upscaler_1": "Lanczos"})
