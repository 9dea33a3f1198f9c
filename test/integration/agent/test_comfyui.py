import base64
import io

import pytest
from PIL import Image

from test.kit.tasks import INPUT_PNG, WORKFLOW, content_of, empty_image, linking_content, node, save_image


def size(data):
    return Image.open(io.BytesIO(data)).size


def sizes(rig, notice):
    return [size(rig.read(url)) for url in notice["image_url"]]


def test_a_workflow_becomes_a_picture_with_its_seed(comfyui):
    graph = content_of("comfyui", seed=42)
    graph["2"]["inputs"]["text"] = "a cat, https://example.com/cat.png"
    notice = comfyui.run(graph, context="c")
    manifest = comfyui.manifest(notice)
    assert (notice["result"], notice["context"], sizes(comfyui, notice)) == (True, "c", [(64, 64)])
    assert manifest["pictures"][0]["seed"] == 42
    assert manifest["parameters"]["2"]["inputs"]["text"] == "a cat, https://example.com/cat.png"


def test_the_same_workflow_twice_gives_pictures_twice(comfyui):
    notices = [comfyui.run(WORKFLOW) for _ in range(2)]
    assert [len(notice["image_url"]) for notice in notices] == [1, 1]


def test_every_picture_of_a_batch_and_of_every_saving_node_is_stored_in_order(comfyui):
    graph = {"1": empty_image(batch_size=3), "2": save_image(), "3": empty_image(width=8), "4": save_image("3")}
    assert sizes(comfyui, comfyui.run(graph)) == [(32, 24)] * 3 + [(8, 24)]


def test_temporary_previews_are_not_stored(comfyui):
    preview = node("PreviewImage", images=["1", 0])
    assert len(comfyui.run({**WORKFLOW, "3": preview})["image_url"]) == 1
    assert comfyui.run({"1": empty_image(), "3": preview})["error"]["code"] == "no_output"


def test_pictures_that_come_by_websocket_are_stored_and_previews_of_the_sampler_are_not(comfyui):
    by_socket = node("SaveImageWebsocket", images=["5", 0])
    comfyui.pod.faults(previews=True)
    try:
        notice = comfyui.run({**content_of("comfyui", pictures=2), "6": by_socket})
    finally:
        comfyui.pod.faults(previews=False)
    assert sizes(comfyui, notice) == [(64, 64), (64, 64)]


@pytest.mark.parametrize(
    ("saving", "extension"),
    [
        (node("SaveAnimatedWEBP", fps=6.0, lossless=True, quality=80, method="default"), "webp"),
        (node("SaveAnimatedPNG", fps=6.0, compress_level=4), "png"),
    ],
)
def test_animations_get_the_right_extension(comfyui, saving, extension):
    saving = {**saving, "inputs": {**saving["inputs"], "images": ["1", 0], "filename_prefix": "x"}}
    (url,) = comfyui.run({"1": empty_image(batch_size=3), "2": saving})["image_url"]
    assert url.endswith(f"-1.{extension}")


def test_a_large_file_is_stored_in_parts_and_whole(comfyui):
    side = 2700  # uncompressed: more than 20 MB
    saving = node("SaveAnimatedPNG", fps=6.0, compress_level=0, images=["1", 0], filename_prefix="x")
    notice = comfyui.run({"1": empty_image(width=side, height=side), "2": saving})
    (picture,) = comfyui.manifest(notice)["pictures"]
    data = comfyui.read(picture["url"])
    image = Image.open(io.BytesIO(data))
    image.load()
    assert (image.size, len(data)) == ((side, side), picture["size_bytes"])
    key = picture["url"].removeprefix(f"s3://{comfyui.bucket}/")
    assert comfyui.aws.s3.head_object(Bucket=comfyui.bucket, Key=key)["ETag"].endswith('-3"')
    assert comfyui.aws.s3.list_multipart_uploads(Bucket=comfyui.bucket).get("Uploads", []) == []


def test_pictures_behind_links_and_in_the_workflow_itself_are_uploaded_first(comfyui):
    s3_link = comfyui.upload("inputs/a.png", INPUT_PNG)
    encoded = base64.b64encode(INPUT_PNG).decode()
    for given in (s3_link, comfyui.web_link("inputs/a.png"), encoded, f"data:image/png;base64,{encoded}"):
        notice = comfyui.run(linking_content("comfyui", given))
        assert sizes(comfyui, notice) == [size(INPUT_PNG)], notice


def test_a_link_to_what_is_no_image_fails_the_task_and_names_its_node(comfyui):
    link = comfyui.upload("inputs/a.flac", b"fLaC" + bytes(300))
    error = comfyui.run(linking_content("comfyui", link))["error"]
    assert error == {"code": "input_failed", "message": "LoadImage (node 1), image: the link holds no image"}


def test_two_workflows_with_different_links_never_see_each_others_picture(comfyui):
    tall = io.BytesIO()
    Image.new("RGB", (8, 80), "red").save(tall, "PNG")
    links = [comfyui.upload("same-name.png", INPUT_PNG), comfyui.upload("other/same-name.png", tall.getvalue())]
    drawn = [sizes(comfyui, comfyui.run(linking_content("comfyui", link))) for link in links]
    assert drawn == [[size(INPUT_PNG)], [(8, 80)]]


@pytest.mark.parametrize(
    ("graph", "code", "words"),
    [
        (
            {"1": empty_image(width=-5), "2": save_image()},
            "rejected",
            "EmptyImage (node 1): Value -5 smaller than min of 1: width",
        ),
        ({"1": empty_image(), "2": save_image(prefix="../../evil")}, "execution_failed", "outside the output folder"),
        (linking_content("comfyui", "gone.png"), "rejected", "Invalid image file: gone.png"),
    ],
)
def test_what_the_server_rejects_fails_the_task_in_the_servers_words(comfyui, graph, code, words):
    error = comfyui.run(graph)["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert len(error["message"]) <= 500


def test_a_websocket_that_says_nothing_hangs_no_job(comfyui):
    silent = ["execution_start", "execution_cached", "executing", "executed", "progress_state", "execution_success"]
    comfyui.pod.faults(mute_events=[*silent, "execution_error", "progress"])
    try:
        assert comfyui.run(WORKFLOW)["result"]
        assert not comfyui.run({"1": empty_image(), "2": save_image(prefix="../../evil")})["result"]
    finally:
        comfyui.pod.faults(mute_events=[])
