import base64
import json

import httpx
import pytest

from queue_agent.errors import ExecutionFailed, InvalidTask, ModelServerFault, NoOutput, Rejected
from queue_agent.media import identify
from queue_agent.runtimes.sdwebui.answer import fault_of, result_of
from queue_agent.runtimes.sdwebui.call import call_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
ENCODED = base64.b64encode(PNG).decode()


def test_the_platforms_keys_are_stripped_and_real_scripts_are_kept(make_task):
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
    call = call_of(make_task({"prompt": "x", "alwayson_scripts": scripts, "override_settings": {"eta": 1}}))
    assert call.body["alwayson_scripts"] == {"ControlNet": {"args": []}}
    assert call.body["override_settings"] == {"eta": 1, "CLIP_stop_at_last_layers": 2, "sd_vae": "vae.pt"}
    assert (call.path, call.checkpoint) == ("txt2img", "a.ckpt")


def test_a_checkpoint_in_override_settings_is_taken_out_and_asked_for_properly(make_task):
    call = call_of(make_task({"override_settings": {"sd_model_checkpoint": "b"}}))
    assert (call.checkpoint, call.body["override_settings"]) == ("b", {})


def test_a_task_can_neither_keep_its_settings_for_later_ones_nor_withhold_its_pictures(make_task):
    body = call_of(make_task({"override_settings_restore_afterwards": False, "send_images": False})).body
    assert (body["override_settings_restore_afterwards"], body["send_images"]) == (True, True)


@pytest.mark.parametrize(
    ("tasktype", "path", "where"),
    [
        ("image-to-image", "img2img", "init_images[0]"),
        ("extra-single-image", "extra-single-image", "image"),
        ("extra-batch-images", "extra-batch-images", "imageList[0].data"),
    ],
)
def test_image_link_goes_where_the_endpoint_reads_images(make_task, tasktype, path, where):
    call = call_of(make_task({"alwayson_scripts": {"image_link": "s3://b/k"}}, tasktype))
    assert call.path == path
    assert [site.link.field for site in call.link_sites] == [where]
    call.put_images({"s3://b/k": identify(PNG)})
    assert ENCODED in json.dumps(call.body)


def test_links_in_prompts_stay(make_task):
    call = call_of(make_task({"prompt": "https://a/b.png", "init_images": ["x"], "negative_prompt": "s3://b/k"}))
    assert call.link_sites == []


def test_the_tasks_own_content_is_not_changed(make_task):
    task = make_task({"alwayson_scripts": {"task": "t"}, "init_images": ["s3://b/k"]}, "image-to-image")
    call = call_of(task)
    call.put_images({"s3://b/k": identify(PNG)})
    assert task.content == {"alwayson_scripts": {"task": "t"}, "init_images": ["s3://b/k"]}


@pytest.mark.parametrize("content", [{"alwayson_scripts": []}, {"override_settings": "x"}])
def test_content_of_another_shape_is_an_invalid_task(make_task, content):
    with pytest.raises(InvalidTask, match="must be an object"):
        call_of(make_task(content))


def test_a_task_type_of_another_server_is_an_invalid_task(make_task):
    with pytest.raises(InvalidTask, match="pipeline"):
        call_of(make_task({}, "pipeline"))


def response(status, body):
    return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())


def generated(images, **info):
    return response(200, {"images": images, "parameters": {"steps": 2}, "info": json.dumps(info)})


def test_pictures_come_with_their_seeds():
    result = result_of(generated([ENCODED, ENCODED], all_seeds=[7, 8], sd_model_name="tiny_a", index_of_first_image=0))
    assert [(output.data, output.seed) for output in result.outputs] == [(PNG, 7), (PNG, 8)]
    assert (result.model, result.parameters) == ("tiny_a", {"steps": 2})


def test_the_grid_before_the_pictures_is_left_out():
    grid = base64.b64encode(b"GIF89a" + bytes(20)).decode()
    result = result_of(generated([grid, ENCODED, ENCODED], all_seeds=[1, 2], index_of_first_image=1))
    assert [(output.data, output.seed) for output in result.outputs] == [(PNG, 1), (PNG, 2)]


def test_pictures_beyond_the_seeds_are_kept():
    assert len(result_of(generated([ENCODED, ENCODED], all_seeds=[1])).outputs) == 2


@pytest.mark.parametrize(
    "body", [{"image": ENCODED, "html_info": ""}, {"images": [f"data:image/png;base64,{ENCODED}"]}]
)
def test_upscaled_pictures_are_read(body):
    assert [output.data for output in result_of(response(200, body)).outputs] == [PNG]


@pytest.mark.parametrize("body", [{"images": [], "parameters": {}, "info": "{}"}, {"image": None, "html_info": ""}, {}])
def test_an_answer_without_pictures_is_no_success(body):
    with pytest.raises(NoOutput):
        result_of(response(200, body))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"images": [', b"[]", b'{"images": ["%%%"]}', b'{"images": ["AAAA"]}']
)
def test_an_answer_that_makes_no_sense_is_the_servers_fault(body):
    with pytest.raises(ModelServerFault):
        result_of(response(200, body))


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            500,
            {"error": "AssertionError", "detail": "", "body": "", "errors": "could not find upscaler named Nope"},
            ExecutionFailed,
            "AssertionError: could not find upscaler named Nope",
        ),
        (
            500,
            {"error": "HTTPException", "detail": "Invalid encoded image", "body": "", "errors": ""},
            Rejected,
            "Invalid encoded image",
        ),
        (
            404,
            {"error": "HTTPException", "detail": "Init image not found", "body": "", "errors": ""},
            Rejected,
            "Init image not found",
        ),
        (
            422,
            {
                "detail": [
                    {"loc": ["body", "width"], "msg": "value is not a valid integer", "type": "type_error.integer"}
                ]
            },
            Rejected,
            "body.width: value is not a valid integer",
        ),
        (
            422,
            {"error": "HTTPException", "detail": "Script 'Nope' not found", "body": "", "errors": ""},
            Rejected,
            "Script 'Nope' not found",
        ),
        (
            500,
            {
                "error": "OutOfMemoryError",
                "detail": "",
                "body": "",
                "errors": "CUDA out of memory. Tried to allocate 2 GiB",
            },
            ModelServerFault,
            "CUDA out of memory",
        ),
        (500, {"error": "AssertionError", "detail": "", "body": "", "errors": ""}, ExecutionFailed, "AssertionError"),
        (
            401,
            {"error": "HTTPException", "detail": "Not authenticated", "body": "", "errors": ""},
            ModelServerFault,
            "401",
        ),
        (404, {"detail": "Not Found"}, ModelServerFault, "404"),
        (502, b"<html>bad gateway</html>", ModelServerFault, "502"),
        (500, b"Internal Server Error", ModelServerFault, "500"),
    ],
)
def test_an_error_is_told_in_the_servers_own_words(status, body, kind, words):
    fault = fault_of(response(status, body))
    assert type(fault) is kind
    assert words in str(fault)


def test_long_words_are_cut():
    body = {"error": "RuntimeError", "detail": "", "body": "", "errors": "x\n" * 5000}
    assert len(str(fault_of(response(500, body)))) <= 500
