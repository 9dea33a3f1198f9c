import base64
import io

import pytest
from PIL import Image

SOURCE = {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 24, "batch_size": 1, "color": 255}}


def save(node="1", prefix="x"):
    return {"class_type": "SaveImage", "inputs": {"images": [node, 0], "filename_prefix": prefix}}


def empty(**changes):
    return {"class_type": "EmptyImage", "inputs": {**SOURCE["inputs"], **changes}}


SIMPLE = {"1": SOURCE, "2": save()}
SAMPLER = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 42,
            "steps": 4,
            "cfg": 7.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
            "model": ["4", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat, https://example.com/cat.png", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "s3://bucket/key", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": save("8", "ks"),
}


def size(data):
    return Image.open(io.BytesIO(data)).size


def test_a_workflow_becomes_a_picture_with_its_seed(comfyui):
    notice = comfyui.run(SAMPLER, "pipeline", context="c")
    manifest = comfyui.manifest(notice)
    assert (notice["result"], notice["context"], len(notice["image_url"])) == (True, "c", 1)
    assert size(comfyui.read(notice["image_url"][0])) == (64, 64)
    assert manifest["pictures"][0]["seed"] == 42
    assert manifest["parameters"]["6"]["inputs"]["text"] == "a cat, https://example.com/cat.png"


def test_the_same_workflow_twice_gives_pictures_twice(comfyui):
    notices = [comfyui.run(SIMPLE, "pipeline") for _ in range(2)]
    assert [len(notice["image_url"]) for notice in notices] == [1, 1]


def test_every_picture_of_a_batch_and_of_every_saving_node_is_stored_in_order(comfyui):
    graph = {"1": empty(batch_size=3), "2": save(), "3": empty(width=8, color=1), "4": save("3")}
    notice = comfyui.run(graph, "pipeline")
    assert [size(comfyui.read(url)) for url in notice["image_url"]] == [(32, 24)] * 3 + [(8, 24)]


def test_temporary_previews_are_not_stored(comfyui):
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    assert len(comfyui.run({**SIMPLE, "3": preview}, "pipeline")["image_url"]) == 1
    assert comfyui.run({"1": SOURCE, "3": preview}, "pipeline")["error"]["code"] == "no_output"


def test_pictures_that_come_by_websocket_are_stored(comfyui):
    graph = {"1": empty(batch_size=2), "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}}
    notice = comfyui.run(graph, "pipeline")
    assert [size(comfyui.read(url)) for url in notice["image_url"]] == [(32, 24), (32, 24)]


def test_previews_of_the_sampler_are_not_taken_for_pictures(comfyui):
    comfyui.faults(previews=True)
    websocket = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["8", 0]}}
    try:
        notice = comfyui.run({**SAMPLER, "9": websocket}, "pipeline")
    finally:
        comfyui.faults(previews=False)
    assert [size(comfyui.read(url)) for url in notice["image_url"]] == [(64, 64)]


@pytest.mark.parametrize(
    ("node", "extension"),
    [
        (
            {
                "class_type": "SaveAnimatedWEBP",
                "inputs": {"fps": 6.0, "lossless": True, "quality": 80, "method": "default"},
            },
            "webp",
        ),
        ({"class_type": "SaveAnimatedPNG", "inputs": {"fps": 6.0, "compress_level": 4}}, "png"),
    ],
)
def test_animations_get_the_right_extension(comfyui, node, extension):
    node = {**node, "inputs": {**node["inputs"], "images": ["1", 0], "filename_prefix": "x"}}
    (url,) = comfyui.run({"1": empty(batch_size=3), "2": node}, "pipeline")["image_url"]
    assert url.endswith(f"-1.{extension}")


def test_a_large_file_is_stored_in_parts_and_whole(comfyui):
    side = 2700  # uncompressed: more than 20 MB
    node = {"class_type": "SaveAnimatedPNG", "inputs": {"fps": 6.0, "compress_level": 0}}
    node["inputs"] |= {"images": ["1", 0], "filename_prefix": "x"}
    notice = comfyui.run({"1": empty(width=side, height=side), "2": node}, "pipeline")
    (picture,) = comfyui.manifest(notice)["pictures"]
    data = comfyui.read(picture["url"])
    image = Image.open(io.BytesIO(data))
    image.load()
    assert (image.size, len(data)) == ((side, side), picture["size_bytes"])
    assert len(data) > 20_000_000
    assert comfyui.head(picture["url"])["ETag"].endswith('-3"')
    assert comfyui.unfinished_uploads() == []


def test_links_in_file_inputs_are_uploaded_first(comfyui, input_png):
    s3_link = comfyui.upload("inputs/a.png", input_png)
    web_link = comfyui.s3.generate_presigned_url("get_object", Params={"Bucket": comfyui.bucket, "Key": "inputs/a.png"})
    for link in (s3_link, web_link):
        graph = {"1": {"class_type": "LoadImage", "inputs": {"image": link}}, "2": save()}
        notice = comfyui.run(graph, "pipeline")
        assert notice["result"], notice
        assert size(comfyui.read(notice["image_url"][0])) == size(input_png)


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
def test_a_picture_in_the_workflow_itself_is_uploaded_too(comfyui, input_png, head):
    picture = head + base64.b64encode(input_png).decode()
    notice = comfyui.run({"1": {"class_type": "LoadImage", "inputs": {"image": picture}}, "2": save()}, "pipeline")
    assert notice["result"], notice
    assert size(comfyui.read(notice["image_url"][0])) == size(input_png)


def test_a_link_to_a_small_file_that_is_a_huge_image_fails_the_task_before_the_server_opens_it(comfyui):
    declared = b"\x2c" + bytes(4) + b"\x01\0\x01\0\0\x02\x02\x4c\x01\0;"
    link = comfyui.upload("inputs/bomb.gif", b"GIF89a" + (50_000).to_bytes(2, "little") * 2 + bytes(3) + declared)
    error = comfyui.run({"1": {"class_type": "LoadImage", "inputs": {"image": link}}, "2": save()}, "pipeline")["error"]
    assert error["code"] == "input_failed"
    assert error["message"].startswith("LoadImage (node 1), image: the link is an image of 50000")


def test_a_link_to_a_sound_is_no_image_and_its_node_is_named(comfyui):
    link = comfyui.upload("inputs/a.flac", b"fLaC" + bytes(300))
    error = comfyui.run({"1": {"class_type": "LoadImage", "inputs": {"image": link}}, "2": save()}, "pipeline")["error"]
    assert error == {"code": "input_failed", "message": "LoadImage (node 1), image: the link holds no image"}


def test_two_workflows_with_different_links_never_see_each_others_picture(comfyui, input_png):
    tall = io.BytesIO()
    Image.new("RGB", (8, 80), "red").save(tall, "PNG")
    links = [comfyui.upload("same-name.png", input_png), comfyui.upload("other/same-name.png", tall.getvalue())]
    sizes = []
    for link in links:
        notice = comfyui.run({"1": {"class_type": "LoadImage", "inputs": {"image": link}}, "2": save()}, "pipeline")
        sizes.append(size(comfyui.read(notice["image_url"][0])))
    assert sizes == [size(input_png), (8, 80)]


@pytest.mark.parametrize(
    ("graph", "code", "words"),
    [
        ({"1": {"class_type": "NoSuchNode", "inputs": {}}}, "rejected", "NoSuchNode does not exist"),
        ({"1": empty(width=-5), "2": save()}, "rejected", "EmptyImage (node 1): Value -5 smaller than min of 1: width"),
        ({"1": SOURCE}, "rejected", "Prompt has no outputs"),
        ({"2": save("9")}, "rejected", "SaveImage (node 2): Exception when validating node: '9'"),
        ({**SIMPLE, "3": save("9")}, "rejected", "SaveImage (node 3)"),
        ({"1": SOURCE, "2": save(prefix="../../../../evil")}, "execution_failed", "outside the output folder"),
        (
            {"1": {"class_type": "LoadImage", "inputs": {"image": "gone.png"}}, "2": save()},
            "rejected",
            "Invalid image file: gone.png",
        ),
    ],
)
def test_what_the_server_refuses_fails_the_task_in_the_servers_words(comfyui, graph, code, words):
    notice = comfyui.run(graph, "pipeline")
    assert notice["error"]["code"] == code
    assert words in notice["error"]["message"]
    assert len(notice["error"]["message"]) <= 500


EVENTS = [
    "status",
    "execution_start",
    "execution_cached",
    "executing",
    "executed",
    "progress_state",
    "execution_success",
]


@pytest.mark.parametrize("event", EVENTS)
def test_a_websocket_that_breaks_at_any_event_hangs_no_job(comfyui, event):
    comfyui.faults(drop_socket_after=event)
    try:
        assert comfyui.run({"1": empty(color=EVENTS.index(event)), "2": save()}, "pipeline")["result"]
    finally:
        comfyui.faults(drop_socket_after="")


def test_a_websocket_that_says_nothing_hangs_no_job(comfyui):
    comfyui.faults(mute_events=[*EVENTS[1:], "execution_error", "progress"])
    try:
        assert comfyui.run(SIMPLE, "pipeline")["result"]
        assert not comfyui.run({"1": SOURCE, "2": save(prefix="../../../../evil")}, "pipeline")["result"]
    finally:
        comfyui.faults(mute_events=[])
