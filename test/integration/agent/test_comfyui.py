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


def test_every_picture_of_a_batch_and_of_every_saving_node_is_stored_in_order_and_so_if_asked_again(comfyui):
    graph = {"1": empty_image(batch_size=3), "2": save_image(), "3": empty_image(width=8), "4": save_image("3")}
    for _ in range(2):
        assert sizes(comfyui, comfyui.run(graph)) == [(32, 24)] * 3 + [(8, 24)]


def test_temporary_previews_are_not_stored(comfyui):
    preview = node("PreviewImage", images=["1", 0])
    assert len(comfyui.run({**WORKFLOW, "3": preview})["image_url"]) == 1
    assert comfyui.run({"1": empty_image(), "3": preview})["error"]["code"] == "no_output"


def test_pictures_that_come_by_websocket_are_stored_and_previews_of_the_sampler_are_not(comfyui):
    by_socket = node("SaveImageWebsocket", images=["5", 0])
    comfyui.pod.model.faults(previews=True)
    try:
        notice = comfyui.run({**content_of("comfyui", pictures=2), "6": by_socket})
    finally:
        comfyui.pod.model.faults(previews=False)
    assert sizes(comfyui, notice) == [(64, 64), (64, 64)]


def test_an_animation_gets_the_right_extension(comfyui):
    settings = {"fps": 6.0, "lossless": True, "quality": 80, "method": "default"}
    saving = node("SaveAnimatedWEBP", images=["1", 0], filename_prefix="x", **settings)
    (url,) = comfyui.run({"1": empty_image(batch_size=3), "2": saving})["image_url"]
    assert url.endswith("-1.webp")


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
    comfyui.pod.model.faults(mute_events=[*silent, "execution_error", "progress"])
    try:
        assert comfyui.run(WORKFLOW)["result"]
        assert not comfyui.run({"1": empty_image(), "2": save_image(prefix="../../evil")})["result"]
    finally:
        comfyui.pod.model.faults(mute_events=[])
