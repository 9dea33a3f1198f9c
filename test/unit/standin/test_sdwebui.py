"""What SD WebUI answers, accepts without a word, and does to a running job."""

import asyncio
import base64
import io
from functools import partial

import pytest
from PIL import Image

from test.unit.standin.conftest import png, until

RED = base64.b64encode(png()).decode()
TEXT = (
    "a cat\nSteps: 2, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, Size: 70x64, "
    "Model hash: {hash}, Model: a, Version: 1.10.1"
)


async def test_a_picture_comes_with_its_text_and_its_size_is_cut_to_multiples_of_8(webui):
    answer = await webui.draw(width=70)
    assert (len(answer["info"]), answer["info"]["all_seeds"], answer["info"]["index_of_first_image"]) == (32, [1], 0)
    expected = TEXT.format(hash=answer["info"]["sd_model_hash"])
    (picture,) = answer["pictures"]
    assert answer["info"]["infotexts"] == [expected]
    assert (picture.format, picture.size, picture.text) == ("PNG", (64, 64), {"parameters": expected})


async def test_only_the_masked_area_changes(webui):
    mask, held = Image.new("L", (64, 64)), io.BytesIO()
    mask.paste(255, (0, 0, 32, 64))
    mask.save(held, "PNG")
    masked = {"init_images": [RED], "mask": base64.b64encode(held.getvalue()).decode(), "denoising_strength": 1}
    (picture,) = (await webui.draw(**masked))["pictures"]
    assert {picture.getpixel((x, y)) for x in range(32, 64) for y in range(64)} == {(200, 30, 30)}
    assert picture.getpixel((8, 8)) != (200, 30, 30)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"sampler_name": "Nope"}, "Sampler: DPM++ 2M, Schedule type: Karras"),
        ({"scheduler": "Nope"}, "Sampler: Euler, Schedule type: Automatic"),
        ({"override_settings": {"sd_model_checkpoint": "nope.safetensors"}}, "Model: a"),
        ({"steps": 1.5}, "Steps: 1,"),
    ],
)
async def test_what_does_not_exist_is_another_without_a_word(webui, body, said):
    assert said in (await webui.draw(**body))["info"]["infotexts"][0]


def broken(kind, words="", detail=""):
    return {"error": kind, "detail": detail, "body": "", "errors": words}


def unfit(field, message, kind, **more):
    return {"detail": [{"loc": ["body", field], "msg": message, "type": kind, **more}]}


EXTRA = "extra-single-image"
SMALL = "Calculated padded input size per channel: (10 x 2). Kernel size: (3 x 3)"
ABOVE_0 = ("ensure this value is greater than 0", "value_error.number.not_gt")
BROKEN = [
    ("txt2img", {"steps": 0}, "ZeroDivisionError", "integer division or modulo by zero"),
    ("txt2img", {"steps": -1}, "RuntimeError", "number of steps must be non-negative"),
    ("txt2img", {"batch_size": 0}, "IndexError", "list index out of range"),
    ("txt2img", {"batch_size": 5000}, "OutOfMemoryError", "CUDA out of memory. Tried to allocate"),
    ("txt2img", {"width": 0}, "RuntimeError", SMALL),
    ("txt2img", {"override_settings": {"nope": 1}}, "KeyError", "'nope'"),
    ("txt2img", {"enable_hr": True, "hr_upscaler": "Nope"}, "Exception", "could not find upscaler named Nope"),
    ("img2img", {"init_images": []}, "RuntimeError", "Expected 3D (unbatched) or 4D (batched) input"),
    (EXTRA, {"image": RED, "upscaler_1": "Nope"}, "AssertionError", "could not find upscaler named Nope"),
]
REJECTED = [
    ("txt2img", {"script_name": "Nope"}, 422, broken("HTTPException", detail="Script 'Nope' not found")),
    ("txt2img", {"width": "abc"}, 422, unfit("width", "value is not a valid integer", "type_error.integer")),
    ("img2img", {}, 404, broken("HTTPException", detail="Init image not found")),
    ("img2img", {"init_images": ["hello"]}, 500, broken("HTTPException", detail="Invalid encoded image")),
    (EXTRA, {"upscaling_resize": 0}, 422, unfit("upscaling_resize", *ABOVE_0, ctx={"limit_value": 0})),
]


@pytest.mark.parametrize(("path", "body", "kind", "words"), BROKEN)
async def test_what_the_real_server_breaks_on_is_answered_in_its_words(webui, path, body, kind, words):
    status, answer = await webui.send(path, **body)
    assert (status, answer["error"], answer["errors"][: len(words)]) == (500, kind, words)


@pytest.mark.parametrize(("path", "body", "status", "expected"), REJECTED)
async def test_what_the_real_server_rejects_is_answered_in_its_words(webui, path, body, status, expected):
    assert await webui.send(path, **body) == (status, expected)


async def test_an_override_of_an_option_that_was_never_saved_sticks(webui):
    override = {"override_settings": {"CLIP_stop_at_last_layers": 2}}
    for sticks in (True, False):
        await webui.draw(**override)
        assert ("Clip skip: 2" in (await webui.draw())["info"]["infotexts"][0]) is sticks
        await webui.post("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1})


async def test_a_number_among_the_options_that_is_none_is_taken_and_hides_all_of_them_until_it_is_one_again(webui):
    assert await webui.post("/sdapi/v1/options", {"jpeg_quality": "high"}) is None
    words = "value is not a valid float (type=type_error.float)"
    words = f"1 validation error for Options\nresponse -> jpeg_quality\n  {words}"
    assert await webui.ask("GET", "/sdapi/v1/options") == (500, broken("ValidationError", words))
    await webui.draw()
    await webui.post("/sdapi/v1/options", {"jpeg_quality": 80})
    assert (await webui.get("/sdapi/v1/options"))["jpeg_quality"] == 80


async def test_the_current_image_is_small_made_after_as_many_steps_as_the_options_say_and_left_out_if_skipped(webui):
    async def current_image(query=""):
        return (await webui.get(f"/sdapi/v1/progress{query}"))["current_image"]

    await webui.faults(hold_at_step=9)
    job = asyncio.ensure_future(webui.draw(steps=20))
    await until(partial(at_step, webui, 7))
    assert await current_image() is None, "it is made after ten steps"
    await webui.post("/sdapi/v1/options", {"show_progress_every_n_steps": 5})
    assert await current_image("?skip_current_image=true") is None
    image = Image.open(io.BytesIO(base64.b64decode(await current_image())))
    assert (image.format, image.size) == ("JPEG", (16, 16))
    await webui.faults(hold_at_step=0)
    await job
    assert await current_image() is None
    await webui.post("/sdapi/v1/options", {"live_previews_enable": False})
    await webui.faults(hold_at_step=9)
    job = asyncio.ensure_future(webui.draw(steps=20))
    await until(partial(at_step, webui, 7))
    assert await current_image() is None
    await webui.faults(hold_at_step=0)
    await job


async def at_step(webui, step):
    return (await webui.state())["sampling_step"] == step


async def test_a_checkpoint_is_known_by_name_file_and_title_which_gains_its_hash_with_the_first_load(webui):
    first, second = [one["title"] for one in await webui.get("/sdapi/v1/sd-models")]
    assert (first[:15], second) == ("a.safetensors [", "b.ckpt")
    for name in ("b", "a", "b.ckpt", "a.safetensors", "b", first):
        await webui.post("/sdapi/v1/options", {"sd_model_checkpoint": name})
        assert (await webui.draw())["info"]["sd_model_name"] == name[0]
    used = await webui.draw(override_settings={"sd_model_checkpoint": "b"})
    assert used["info"]["sd_model_name"] == "b"
    options = await webui.get("/sdapi/v1/options")
    assert options["sd_model_checkpoint"] == first
    assert not first.endswith(f"[{options['sd_checkpoint_hash'][:10]}]"), "the hash stays that of the overridden one"
    assert (await webui.draw())["info"]["sd_model_name"] == "a"
    rejected = broken("RuntimeError", "model 'nope' not found")
    assert await webui.ask("POST", "/sdapi/v1/options", {"sd_model_checkpoint": "nope"}) == (500, rejected)


@pytest.mark.parametrize(
    ("path", "body", "loaded"), [("reload-checkpoint", None, "a"), ("options", {"sd_model_checkpoint": "b.ckpt"}, "b")]
)
async def test_a_server_that_was_started_before_its_files_were_there_lists_and_loads_them_when_told(
    early_webui, path, body, loaded
):
    """Where its options name none, it loads the first that it finds."""

    async def named():
        return (await early_webui.get("/sdapi/v1/options"))["sd_model_checkpoint"]

    no_model = broken("AttributeError", "'NoneType' object has no attribute 'lowvram'")
    assert await early_webui.ask("POST", "/sdapi/v1/reload-checkpoint") == (500, no_model)
    assert (await early_webui.send())[1]["error"] == "FileNotFoundError"
    assert await early_webui.post("/sdapi/v1/refresh-checkpoints", {}) is None
    assert await early_webui.get("/sdapi/v1/sd-models") == []
    await early_webui.faults(late_models=False)
    assert await early_webui.get("/sdapi/v1/sd-models") == []
    for name in ("checkpoints", "vae", "loras", "upscalers"):
        assert await early_webui.post(f"/sdapi/v1/refresh-{name}", {}) is None
    assert [one["title"] for one in await early_webui.get("/sdapi/v1/sd-models")] == ["a.safetensors", "b.ckpt"]
    assert await named() is None
    await early_webui.post(f"/sdapi/v1/{path}", body)
    assert (await named()).startswith(loaded)
    await early_webui.post("/sdapi/v1/reload-checkpoint")
    assert (await early_webui.draw())["info"]["sd_model_name"] == loaded


async def test_an_interrupt_ends_the_series_which_comes_with_fewer_and_unfinished_pictures(webui):
    whole = await webui.draw(steps=40)
    await webui.faults(hold_at_step=3)
    job = asyncio.ensure_future(webui.draw(steps=40, n_iter=4))
    await webui.running()
    progress = await webui.get("/sdapi/v1/progress")
    assert (progress["state"]["job"], progress["state"]["job_count"]) == ("Batch 1 out of 4", 4)
    assert 0.01 < progress["progress"] < 0.25
    assert await webui.post("/sdapi/v1/interrupt") == {}
    answer = await job
    counts = [len(many) for many in (answer["images"], answer["info"]["infotexts"], answer["info"]["all_seeds"])]
    assert counts == [1, 1, 4]
    assert answer["images"] != whole["images"]
    state = await webui.state()
    assert (state["interrupted"], state["job"], state["job_no"]) == (True, "", 1)
    await webui.faults(hold_at_step=0)
    await webui.draw()
    assert (await webui.state())["interrupted"] is False, "the next job clears the mark"
