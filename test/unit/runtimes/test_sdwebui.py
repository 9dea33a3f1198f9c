import base64
import io
import json
import random
import tracemalloc

import pytest
from driverkit import PNG, answer, task_of
from PIL import Image

from queue_agent.errors import ExecutionFailed, InputError, InvalidTask, NoOutput, Rejected, ServerError
from queue_agent.media import identify
from runtimes._http import AnswerStream
from runtimes.sdwebui.checkpoints import infotext_pairs
from runtimes.sdwebui.driver.answer import error_of, result_of
from runtimes.sdwebui.driver.call import call_of

ENCODED = base64.b64encode(PNG).decode()


def _drawn(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


DRAWN = _drawn(20, 10)


def test_the_platforms_keys_are_stripped_and_real_scripts_are_kept():
    scripts = {
        "task": "text-to-image",
        "sd_model_checkpoint": "a.ckpt",
        "id_task": "x",
        "uid": "u",
        "save_dir": "s",
        "sd_vae": "vae.pt",
        "override_settings": {"CLIP_stop_at_last_layers": 2},
        "image_link": "",
        "ControlNet": {"args": []},
    }
    call = call_of(task_of({"prompt": "x", "alwayson_scripts": scripts, "override_settings": {"eta": 1}}))
    assert call.body["alwayson_scripts"] == {"ControlNet": {"args": []}}
    assert call.body["override_settings"] == {"eta": 1, "CLIP_stop_at_last_layers": 2, "sd_vae": "vae.pt"}
    assert (call.path, call.checkpoint) == ("txt2img", "a.ckpt")


def test_a_checkpoint_at_the_top_is_asked_for_as_well_and_a_field_goes_before_an_infotext():
    infotext = "a\nSteps: 2, Seed: 1, Model hash: 0000000002, Model: c"
    call = call_of(task_of({"sd_model_checkpoint": "b", "infotext": infotext, "refiner_checkpoint": "d"}))
    assert (call.checkpoint, call.other_checkpoints) == ("b", ("d",))
    assert "sd_model_checkpoint" not in call.body
    assert call_of(task_of({"infotext": infotext})).checkpoint == "c"


def test_the_server_does_not_read_a_checkpoint_from_an_infotext_by_itself():
    call = call_of(task_of({"infotext": "Model hash: 1\nSteps: 2, Seed: 1, Model hash: 0000000002, Clip skip: 2"}))
    assert call.body["infotext"].startswith("Model hash: 1\n")
    assert infotext_pairs(call.body["infotext"]).keys() == {"Steps", "Seed", "Model hash of the picture", "Clip skip"}


LONG_LINE = "a\nSteps: 2, Seed: 1, " + "Clip skip: 2, " * 5000


@pytest.mark.parametrize(
    "content", [{"infotext": LONG_LINE}, {"script_name": "x/y/z plot", "script_args": [11, "a," * 40_000, ""]}]
)
def test_lists_of_checkpoints_and_settings_that_are_too_long_to_be_read_are_refused(content):
    with pytest.raises(InvalidTask, match=r"at most (65536|512) characters"):
        call_of(task_of(content))


def test_a_long_prompt_of_an_infotext_is_no_list_of_settings():
    infotext = "a, " * 40_000 + "\nSteps: 2, Seed: 1, Model: c"
    assert call_of(task_of({"infotext": infotext})).checkpoint == "c"


def test_settings_that_an_infotext_may_override_are_saved_beforehand():
    content = {"infotext": "a\nSteps: 2, Seed: 1, Clip skip: 2", "override_settings": {"x": 1}}
    overridden = call_of(task_of(content)).prepared({}).overridden
    assert {"CLIP_stop_at_last_layers", "sd_vae", "eta_noise_seed_delta", "x"} < overridden
    assert call_of(task_of({"override_settings": {"x": 1}})).prepared({}).overridden == {"x"}


@pytest.mark.parametrize("name", [5, ["b"], "b" * 513])
def test_a_checkpoint_that_is_no_name_is_an_invalid_task(name):
    with pytest.raises(InvalidTask, match=r"override_settings\.sd_model_checkpoint must be text"):
        call_of(task_of({"override_settings": {"sd_model_checkpoint": name}}))


def test_null_stands_for_what_is_left_out():
    settings = {"sd_vae": None, "eta_ancestral": 0, "sd_model_checkpoint": None}
    call = call_of(task_of({"steps": None, "alwayson_scripts": None, "override_settings": settings}))
    assert "steps" not in call.body
    assert (call.body["override_settings"], call.checkpoint) == ({"eta_ancestral": 0}, None)


@pytest.mark.parametrize(
    ("tasktype", "content", "words"),
    [
        ("text-to-image", {"alwayson_scripts": []}, "must be an object"),
        ("text-to-image", {"override_settings": "x"}, "must be an object"),
        ("pipeline", {}, "no task type pipeline"),
    ],
)
def test_content_of_another_shape_is_an_invalid_task(tasktype, content, words):
    with pytest.raises(InvalidTask, match=words):
        call_of(task_of(content, tasktype))


def test_a_job_goes_to_the_server_under_its_own_id_whatever_the_task_says():
    prepared = call_of(task_of({"prompt": "x", "force_task_id": "mine"})).prepared({})
    sent = json.loads(b"".join(prepared.content_for("job-1")))
    assert (sent["force_task_id"], sent["prompt"]) == ("job-1", "x")
    upscale = call_of(task_of({"image": ENCODED}, "extra-single-image")).prepared({})
    assert upscale.content_for("job-1") == (upscale.content,)


def test_a_task_can_neither_keep_its_settings_for_later_ones_nor_withhold_its_pictures():
    body = call_of(task_of({"override_settings_restore_afterwards": False, "send_images": False})).body
    assert (body["override_settings_restore_afterwards"], body["send_images"]) == (True, True)


@pytest.mark.parametrize(
    ("tasktype", "path", "where"),
    [
        ("image-to-image", "img2img", "init_images[0]"),
        ("extra-single-image", "extra-single-image", "image"),
        ("extra-batch-images", "extra-batch-images", "imageList[0].data"),
    ],
)
def test_image_link_goes_where_the_endpoint_reads_images(tasktype, path, where):
    call = call_of(task_of({"alwayson_scripts": {"image_link": "s3://b/k"}}, tasktype))
    assert call.path == path
    assert [site.input.field for site in call.sites] == [where]
    call.prepared({"s3://b/k": identify(base64.b64decode(DRAWN))})
    assert DRAWN in json.dumps(call.body)


def test_a_task_leaves_no_file_on_the_servers_disk():
    settings = {
        "save_init_img": True,
        "samples_save": True,
        "grid_save": True,
        "save_mask": True,
        "samples_format": "jpg",
    }
    scripts = {"override_settings": {"save_txt": True}}
    body = call_of(task_of({"save_images": True, "override_settings": settings, "alwayson_scripts": scripts})).body
    assert (body["save_images"], body["override_settings"]) == (False, {"samples_format": "jpg"})


def test_the_tasks_own_content_is_not_changed():
    task = task_of({"alwayson_scripts": {"task": "t"}, "init_images": ["s3://b/k"]}, "image-to-image")
    call = call_of(task)
    call.prepared({"s3://b/k": identify(PNG)})
    assert task.content == {"alwayson_scripts": {"task": "t"}, "init_images": ["s3://b/k"]}


def generated(images, **info):
    return {"images": images, "parameters": {"steps": 2}, "info": json.dumps(info)}


async def read(body, piece_bytes=65536):
    """What is read of a call's answer that arrives in pieces."""
    whole = answer(200, body).body

    async def chunks():
        for start in range(0, len(whole), piece_bytes):
            yield whole[start : start + piece_bytes]

    return await result_of(AnswerStream(200, chunks()))


async def test_pictures_come_with_their_seeds():
    result = await read(generated([ENCODED, ENCODED], all_seeds=[7, 8], sd_model_name="tiny_a", index_of_first_image=0))
    assert [(output.content, output.seed) for output in result.outputs] == [(PNG, 7), (PNG, 8)]
    assert (result.model, result.parameters) == ("tiny_a", {"steps": 2})


async def test_a_grid_before_the_pictures_is_left_out_and_an_animation_in_place_of_all_pictures_is_none():
    info = {"all_seeds": [5, 6], "index_of_first_image": 1}
    assert [output.seed for output in (await read(generated([ENCODED], **info))).outputs] == [5]
    assert [output.seed for output in (await read(generated([ENCODED, ENCODED], **info))).outputs] == [5, 6]
    with_grid = await read(generated([encoded(LARGE[0]), ENCODED, ENCODED], **info))
    assert [(output.content, output.seed) for output in with_grid.outputs] == [(PNG, 5), (PNG, 6)]


@pytest.mark.parametrize("number", ["1.5", "NaN", "-Infinity", "1e999", "9" * 5000])
async def test_numbers_that_json_does_not_have_cost_nothing_else_in_info(number):
    info = '{"all_seeds":[7,8],"index_of_first_image":1,"sd_model_name":"base","extra":{"x":@}}'.replace("@", number)
    result = await read({"images": [ENCODED] * 3, "parameters": {}, "info": info})
    assert ([output.seed for output in result.outputs], result.model) == ([7, 8], "base")
    assert result.answer["info"]["extra"] == {"x": 1.5 if number == "1.5" else None}


@pytest.mark.parametrize(
    "info",
    [
        {"all_seeds": 7, "index_of_first_image": "x", "sd_model_name": 5, "infotexts": "no"},
        {"all_seeds": [None], "index_of_first_image": -1, "infotexts": [3]},
        {"all_seeds": ["7"], "index_of_first_image": 9, "infotexts": ["Steps: 1, Seed: many, Size: 1x1"]},
    ],
)
async def test_nonsense_in_info_costs_no_picture(info):
    result = await read(generated([ENCODED], **info))
    assert ([output.seed for output in result.outputs], result.model) == ([None], None)


async def test_a_seed_that_the_list_does_not_tell_stands_in_the_pictures_infotext():
    texts = [f"a dog\nSteps: 2, Sampler: Euler, Seed: {seed}, Size: 64x64" for seed in (40, 41, 42)]
    listed = await read(generated([ENCODED] * 3, all_seeds=[-1], infotexts=texts))
    assert [output.seed for output in listed.outputs] == [40, 41, 42]
    behind_a_grid = await read(generated([ENCODED] * 3, all_seeds=[-1, -1], infotexts=texts, index_of_first_image=1))
    assert [output.seed for output in behind_a_grid.outputs] == [41, 42]


@pytest.mark.parametrize("grid", [0, 1])
async def test_what_comes_after_the_pictures_as_a_controlnets_map_is_kept_without_a_seed(grid):
    body = generated([ENCODED] * (grid + 3), all_seeds=[1, 2], index_of_first_image=grid)
    assert [output.seed for output in (await read(body)).outputs] == [1, 2, None]


@pytest.mark.parametrize(
    "body", [{"image": ENCODED, "html_info": ""}, {"images": [f"data:image/png;base64,{ENCODED}"]}]
)
async def test_upscaled_pictures_are_read(body):
    assert [output.content for output in (await read(body)).outputs] == [PNG]


LARGE = [PNG + random.Random(number).randbytes(30_000) for number in range(3)]


def encoded(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("piece_bytes", [1, 100, 4097, 30_001, 1_000_000])
async def test_pictures_that_arrive_in_pieces_of_any_size_are_read_whole_and_in_order(piece_bytes):
    images = [encoded(LARGE[0]), ENCODED, f"data:image/png;base64,{encoded(LARGE[1])}", encoded(LARGE[2])]
    result = await read(generated(images, all_seeds=[1, 2, 3, 4], prompt='say "cheese"'), piece_bytes)
    assert [output.content for output in result.outputs] == [LARGE[0], PNG, *LARGE[1:]]
    assert result.answer["info"]["prompt"] == 'say "cheese"'


@pytest.mark.parametrize("piece_bytes", [100, 4097, 1_000_000])
@pytest.mark.parametrize("text", ["A" * 50_000, "A" * 50_000 + '"', '"' + "A" * 50_000, encoded(PNG) + " " * 9000])
async def test_long_texts_that_are_no_pictures_stay_as_they_are(piece_bytes, text):
    result = await read({**generated([ENCODED]), "parameters": {"prompt": text}}, piece_bytes)
    assert result.parameters == {"prompt": text}


async def test_pictures_that_the_server_repeats_among_the_parameters_are_not_taken_for_results():
    body = {"parameters": {"mask": encoded(LARGE[1])}, "images": [encoded(LARGE[0])], "info": "{}"}
    result = await read(body, 4097)
    assert [output.content for output in result.outputs] == [LARGE[0]]
    assert len(result.parameters["mask"]) < 100


@pytest.mark.parametrize("damage", ["%", "A", '\\"', "=A"])
async def test_a_large_picture_that_is_no_base64_is_the_servers_fault(damage):
    text = encoded(LARGE[0])
    with pytest.raises(ServerError):
        await read(generated([text[:20_000] + damage + text[20_000:]]), 4097)


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


@pytest.mark.parametrize("body", [{"images": [], "parameters": {}, "info": "{}"}, {"image": None, "html_info": ""}, {}])
async def test_an_answer_without_pictures_is_no_success(body):
    with pytest.raises(NoOutput):
        await read(body)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"images": [', b"[]", b'{"images": ["%%%"]}', b'{"images": ["AAAA"]}']
)
async def test_an_answer_that_makes_no_sense_is_the_servers_fault(body):
    with pytest.raises(ServerError):
        await read(body)


def error(name, errors="", detail=""):
    """An error as SD WebUI answers it."""
    return {"error": name, "detail": detail, "body": "", "errors": errors}


INVALID = {"loc": ["body", "width"], "msg": "value is not a valid integer", "type": "type_error.integer"}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (500, error("AssertionError", "no upscaler Nope"), ExecutionFailed, "AssertionError: no upscaler Nope"),
        (500, error("AssertionError"), ExecutionFailed, "AssertionError"),
        (500, error("HTTPException", detail="Invalid encoded image"), Rejected, "Invalid encoded image"),
        (404, error("HTTPException", detail="Init image not found"), Rejected, "Init image not found"),
        (422, {"detail": [INVALID]}, Rejected, "body.width: value is not a valid integer"),
        (422, {"detail": [{"loc": 5, "msg": None}, "odd"]}, Rejected, ": None"),
        (
            500,
            error("OutOfMemoryError", "CUDA out of memory."),
            ServerError,
            "CUDA out of memory",
        ),
        (401, error("HTTPException", detail="Not authenticated"), ServerError, "401"),
        (404, {"detail": "Not Found"}, ServerError, "404"),
        (500, {"message": "upstream went away"}, ServerError, "500"),
        (429, {"detail": "slow down"}, ServerError, "429"),
        (502, b"<html>bad gateway</html>", ServerError, "502"),
    ],
)
def test_an_error_is_told_in_the_servers_own_words(status, body, kind, words):
    found = error_of(answer(status, body))
    assert type(found) is kind
    assert words in str(found)


@pytest.mark.parametrize(
    ("content", "tasktype"),
    [
        ({"image": DRAWN, "upscaling_resize": 4}, "extra-single-image"),
        ({"image": DRAWN, "upscaling_resize": "4"}, "extra-single-image"),
        ({"imageList": [{"data": DRAWN, "name": "a"}], "upscaling_resize": 4}, "extra-batch-images"),
    ],
)
def test_a_picture_is_not_upscaled_beyond_the_pixels_that_a_task_may_have(content, tasktype):
    call = call_of(task_of(content, tasktype))
    fetched = {site.input.text: identify(base64.b64decode(DRAWN)) for site in call.sites}
    pixels = 20 * 10 * 4**2
    call.prepared(fetched, pixels)
    with pytest.raises(InputError, match=rf"upscaled by 4 are {pixels}; at most {pixels - 1} are allowed"):
        call.prepared(fetched, pixels - 1)
    call.body["upscaling_resize"] = "1e200"  # its square is beyond all floats
    with pytest.raises(InputError, match="maxPixels"):
        call.prepared(fetched)
