"""From a task to a call of SD WebUI, and from its answer to pictures or an error."""

import base64
import io
import json
import random
import tracemalloc

import pytest
from driverkit import PNG, answer, task_of
from PIL import Image

from queue_agent.errors import InputError, InvalidTask, NoOutput, Rejected, ServerError
from queue_agent.media import identify
from runtimes._http import AnswerStream
from runtimes.sdwebui.checkpoints import infotext_pairs
from runtimes.sdwebui.driver.answer import error_of, result_of
from runtimes.sdwebui.driver.call import PREVIEW_SETTINGS, call_of


def encoded(data):
    return base64.b64encode(data).decode()


def drawn(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return encoded(file.getvalue())


ENCODED, DRAWN = encoded(PNG), drawn(20, 10)
LONG_LINE = "a\nSteps: 2, Seed: 1, " + "Clip skip: 2, " * 5000
INFOTEXT = "a\nSteps: 2, Seed: 1, Model hash: 0000000002, Model: c"


def test_the_platforms_keys_and_settings_that_save_files_are_stripped_and_no_picture_can_be_withheld():
    scripts = {
        "task": "text-to-image",
        "sd_model_checkpoint": "a.ckpt",
        "id_task": "x",
        "uid": "u",
        "save_dir": "s",
        "sd_vae": "vae.pt",
        "override_settings": {"CLIP_stop_at_last_layers": 2, "save_txt": True},
        "image_link": "",
        "ControlNet": {"args": []},
    }
    settings = {"eta": 1, "samples_save": True, "grid_save": True, "tiling": None}
    content = {"steps": None, "alwayson_scripts": scripts, "override_settings": settings, "send_images": False}
    call = call_of(task_of(content))
    assert call.body["alwayson_scripts"] == {"ControlNet": {"args": []}}
    assert call.body["override_settings"] == {"eta": 1, "CLIP_stop_at_last_layers": 2, "sd_vae": "vae.pt"}
    assert (call.path, call.checkpoint, call.body["send_images"]) == ("txt2img", "a.ckpt", True)
    assert "steps" not in call.body, "null stands for what is left out"


@pytest.mark.parametrize(
    ("content", "checkpoint", "others"),
    [
        ({"sd_model_checkpoint": "b", "infotext": INFOTEXT, "refiner_checkpoint": "d"}, "b", ("d",)),
        ({"infotext": "a, " * 40_000 + INFOTEXT}, "c", ()),  # a long prompt is no list of settings
    ],
)
def test_a_field_goes_before_an_infotext_and_no_checkpoint_is_left_in_the_request(content, checkpoint, others):
    call = call_of(task_of(content))
    assert (call.checkpoint, call.other_checkpoints) == (checkpoint, others)
    assert "sd_model_checkpoint" not in call.body
    assert "Model hash" not in infotext_pairs(call.body["infotext"])


def test_live_previews_are_switched_on_for_tasks_alone_that_keep_them_and_off_again_after_them():
    mine = {"show_progress_type": "Full"}
    assert call_of(task_of({})).body["override_settings"] == {}
    call = call_of(task_of({"override_settings": mine}, keep=["preview"]))
    assert call.body["override_settings"] == {**PREVIEW_SETTINGS, **mine}
    assert call.overridden == PREVIEW_SETTINGS.keys()


def test_settings_that_an_infotext_may_override_are_saved_beforehand():
    content = {"infotext": "a\nSteps: 2, Seed: 1, Clip skip: 2", "override_settings": {"x": 1}}
    overridden = call_of(task_of(content)).overridden
    assert {"CLIP_stop_at_last_layers", "sd_vae", "eta_noise_seed_delta", "x"} < overridden
    assert call_of(task_of({"override_settings": {"x": 1}})).overridden == {"x"}


@pytest.mark.parametrize(
    ("tasktype", "content", "words"),
    [
        ("text-to-image", {"override_settings": {"sd_model_checkpoint": 5}}, "sd_model_checkpoint must be text"),
        ("text-to-image", {"sd_model_checkpoint": "b" * 513}, "at most 512 characters"),
        ("text-to-image", {"infotext": LONG_LINE}, "at most 65536 characters"),
        ("text-to-image", {"alwayson_scripts": []}, "must be an object"),
        ("pipeline", {}, "no task type pipeline"),
    ],
)
def test_content_of_another_shape_is_an_invalid_task(tasktype, content, words):
    with pytest.raises(InvalidTask, match=words):
        call_of(task_of(content, tasktype))


def test_a_job_goes_to_the_server_under_its_own_id_whatever_the_task_says():
    call = call_of(task_of({"prompt": "x", "force_task_id": "mine"}))
    call.write({})
    sent = json.loads(b"".join(call.content_for("job-1")))
    assert (sent["force_task_id"], sent["prompt"]) == ("job-1", "x")
    upscale = call_of(task_of({"image": ENCODED}, "extra-single-image"))
    upscale.write({})
    assert upscale.content_for("job-1") == (upscale.content,)


@pytest.mark.parametrize(
    ("tasktype", "path", "where"),
    [
        ("image-to-image", "img2img", "init_images[0]"),
        ("extra-single-image", "extra-single-image", "image"),
        ("extra-batch-images", "extra-batch-images", "imageList[0].data"),
    ],
)
def test_image_link_goes_where_the_endpoint_reads_images_and_the_task_stays_as_it_was(tasktype, path, where):
    task = task_of({"alwayson_scripts": {"image_link": "s3://b/k"}}, tasktype)
    call = call_of(task)
    assert (call.path, [site.input.field for site in call.sites]) == (path, [where])
    call.write({"s3://b/k": identify(base64.b64decode(DRAWN))})
    assert DRAWN.encode() in call.content
    assert task.content == {"alwayson_scripts": {"image_link": "s3://b/k"}}


def test_a_picture_is_not_upscaled_beyond_the_pixels_that_a_task_may_have():
    def write(factor, max_pixels):
        content = {"imageList": [{"data": DRAWN, "name": "a"}], "upscaling_resize": factor}
        call = call_of(task_of(content, "extra-batch-images"))
        call.write({site.input.text: identify(base64.b64decode(DRAWN)) for site in call.sites}, max_pixels)

    pixels = 20 * 10 * 4**2
    write("4", pixels)
    with pytest.raises(InputError, match=rf"upscaled by 4 are {pixels}; at most {pixels - 1} are allowed"):
        write("4", pixels - 1)
    with pytest.raises(InputError, match="maxPixels"):
        write("1e200", pixels)  # its square is beyond all floats


def generated(images, **info):
    return {"images": images, "parameters": {"steps": 2}, "info": json.dumps(info)}


async def read(body, piece_bytes=65536):
    """What is read of a call's answer that arrives in pieces."""
    whole = answer(200, body).body

    async def chunks():
        for start in range(0, len(whole), piece_bytes):
            yield whole[start : start + piece_bytes]

    return await result_of(AnswerStream(200, chunks()))


TEXTS = [f"a dog\nSteps: 2, Sampler: Euler, Seed: {seed}, Size: 64x64" for seed in (40, 41, 42)]


@pytest.mark.parametrize(
    ("pictures", "info", "seeds"),
    [
        (2, {"all_seeds": [7, 8], "index_of_first_image": 0}, [7, 8]),
        (3, {"all_seeds": [5, 6], "index_of_first_image": 1}, [5, 6]),  # behind a grid
        (1, {"all_seeds": [5, 6], "index_of_first_image": 1}, [5]),  # an animation in place of all pictures
        (3, {"all_seeds": [-1, -1], "infotexts": TEXTS, "index_of_first_image": 1}, [41, 42]),
        (3, {"all_seeds": [1, 2]}, [1, 2, None]),  # a ControlNet's map comes after the pictures
        (1, {"all_seeds": 7, "index_of_first_image": "x", "sd_model_name": 5, "infotexts": "no"}, [None]),
        (1, {"all_seeds": ["7"], "index_of_first_image": 9, "infotexts": ["Steps: 1, Seed: x, Size: 1x1"]}, [None]),
    ],
)
async def test_pictures_come_with_their_seeds_where_those_are_known(pictures, info, seeds):
    result = await read(generated([ENCODED] * pictures, **info))
    assert [(output.content, output.seed) for output in result.outputs] == [(PNG, seed) for seed in seeds]
    assert (result.model, result.parameters) == (None, {"steps": 2})


@pytest.mark.parametrize("number", ["1.5", "NaN", "9" * 5000])
async def test_numbers_that_json_does_not_have_cost_nothing_else_in_info(number):
    info = '{"all_seeds":[7,8],"index_of_first_image":1,"sd_model_name":"base","extra":{"x":@}}'.replace("@", number)
    result = await read({"images": [ENCODED] * 3, "parameters": {}, "info": info})
    assert ([output.seed for output in result.outputs], result.model) == ([7, 8], "base")
    assert result.answer["info"]["extra"] == {"x": 1.5 if number == "1.5" else None}


LARGE = [PNG + random.Random(number).randbytes(30_000) for number in range(3)]


@pytest.mark.parametrize("piece_bytes", [1, 100, 4097, 30_001])
async def test_an_answer_in_pieces_of_any_size_is_read_whole_and_pictures_among_the_parameters_are_no_results(
    piece_bytes,
):
    first, second, repeated = map(encoded, LARGE)
    texts = ["A" * 50_000, "A" * 50_000 + '"', '"' + repeated, ENCODED + " " * 9000]
    images = [first, f"data:image/png;base64,{ENCODED}", f"data:image/png;base64,{second}"]
    body = generated(images, all_seeds=[1, 2, 3], prompt='say "cheese"')
    result = await read(body | {"parameters": {"texts": texts, "mask": repeated}}, piece_bytes)
    assert [output.content for output in result.outputs] == [LARGE[0], PNG, LARGE[1]]
    assert result.answer["info"]["prompt"] == 'say "cheese"'
    assert result.parameters["texts"] == texts
    assert result.parameters["mask"].endswith(f": {len(repeated)} characters of base64>")


async def test_pictures_are_held_once_and_not_as_text_while_they_arrive():
    piece = b"A" * 65536
    head = base64.b64encode(PNG + bytes(9000))[: 4 * (9000 // 4)]

    async def chunks():
        yield b'{"images": ['
        for number in range(8):
            yield b'%s"%s' % (b"," if number else b"", head)
            for _ in range(64):
                yield piece
            yield b'"'
        yield b'], "info": "{}"}'

    tracemalloc.start()
    try:
        result = await result_of(AnswerStream(200, chunks()))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    sizes_bytes = [len(output.content) for output in result.outputs]
    assert len(sizes_bytes) == 8
    assert peak_bytes < 1.2 * sum(sizes_bytes)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"images": [], "info": "{}"}, NoOutput),
        ({}, NoOutput),
        *[(body, ServerError) for body in (b"<html>", b"[]", b'{"images": ["%%%"]}', b'{"images": ["AAAA"]}')],
        *[
            (generated([encoded(LARGE[0])[:20_000] + damage + encoded(LARGE[0])[20_000:]]), ServerError)
            for damage in ("%", "A")
        ],
    ],
)
async def test_an_answer_without_pictures_is_no_success(body, kind):
    with pytest.raises(kind):
        await read(body, 4097)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (404, {"error": "HTTPException", "detail": "Init image not found"}, Rejected, "Init image not found"),
        (422, {"detail": [{"loc": 5, "msg": "is odd"}, "odd"]}, Rejected, ": is odd"),
        *[(status, {"detail": "Not Found"}, ServerError, str(status)) for status in (401, 404, 429, 500)],
    ],
)
def test_an_error_is_told_in_the_servers_own_words_and_what_stands_before_it_is_not_the_tasks(
    status, body, kind, words
):
    found = error_of(answer(status, body))
    assert type(found) is kind
    assert words in str(found)
