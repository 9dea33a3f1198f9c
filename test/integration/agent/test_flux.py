"""The agent beside the real flux server, whose pipeline paints instead of denoising."""

import io
from collections import Counter

import pytest
from PIL import Image

from test.kit.processes import HTTP
from test.kit.tasks import INPUT_PNG

SMALL = {"prompt": "a cat, https://example.com/cat.png", "width": 128, "height": 64, "num_inference_steps": 2}
"""Takes 3 s with steps of 0.05 s."""


def shape(data):
    image = Image.open(io.BytesIO(data))
    return image.format, image.size


def jobs(rig):
    """Ids of the server's jobs, by state."""
    return HTTP.get(f"{rig.pod.server_url}/jobs").json()


def test_a_task_becomes_a_picture_with_its_seed(flux):
    notice = flux.run({**SMALL, "seed": 7}, context="c")
    manifest = flux.manifest(notice)
    (picture,) = manifest["pictures"]
    assert (notice["result"], notice["context"], notice["image_url"]) == (True, "c", [picture["url"]])
    assert shape(flux.read(picture["url"])) == ("PNG", (128, 64))
    assert (picture["seed"], picture["content_type"]) == (7, "image/png")
    assert manifest["parameters"]["prompt"] == SMALL["prompt"]
    assert manifest["answer"]["seeds"] == [7]
    assert manifest["answer"]["timings_s"].keys() == {"queue", "encode", "denoise", "decode", "finish"}


def test_every_picture_that_is_asked_for_is_stored_in_order_with_its_own_seed(flux):
    pictures = flux.manifest(flux.run({**SMALL, "seed": 7, "num_images": 3, "output_format": "webp"}))["pictures"]
    assert [picture["seed"] for picture in pictures] == [7, 8, 9]
    assert len({flux.read(picture["url"]) for picture in pictures}) == 3
    assert [picture["url"].rpartition(".")[2] for picture in pictures] == ["webp"] * 3


def test_an_edit_reads_the_image_behind_its_link_and_gives_a_preview_and_the_picture(flux):
    content = {"instructions": "make it red", "size": "256x128", "seed": 7, "preview": True, "num_inference_steps": 4}
    notice = flux.run(content | {"images": [flux.upload("inputs/a.png", INPUT_PNG)]}, "edit")
    manifest = flux.manifest(notice)
    preview, picture = (flux.read(url) for url in notice["image_url"])
    assert preview != picture
    assert shape(picture) == ("PNG", (256, 128))
    assert [entry["seed"] for entry in manifest["pictures"]] == [7, 7]
    assert manifest["parameters"]["instructions"] == "make it red"


def test_what_the_model_does_not_do_fails_at_once_with_all_errors_in_the_servers_words(flux):
    error = flux.run({**SMALL, "width": 1000, "height": 4096, "lora_weights": {"none": 1}})["error"]
    assert error["code"] == "rejected"
    for words in ("width must be a multiple of 16", "width times height", "lora_weights.none is no LoRA"):
        assert words in error["message"], error


@pytest.mark.concurrent
def test_tasks_that_wait_together_are_drawn_together_though_the_server_decides_before_its_last_step(kit):
    with kit.rig("flux") as rig:
        pod = rig.add_pod(step_s=0.05)
        pod.start_server()
        pod.model.hold(2)
        rig.submit(steps=5)
        for _ in range(6):
            rig.submit(steps=4)
        pod.agent.start()
        rig.until(lambda: len(pod.model.waiting) == 4)
        pod.model.hold(0)
        rig.wait_until_all_are_notified()
        given = [job for ids in jobs(rig).values() for job in ids]
        batches = Counter(HTTP.get(f"{pod.server_url}/jobs/{job}").json()["batch"] for job in given)
        assert [batches[number] for number in sorted(batches)][:2] == [1, 4]


@pytest.mark.concurrent
def test_each_gpu_of_a_pod_has_a_task_and_what_neither_could_begin_is_left_to_other_pods(kit):
    with kit.rig("flux") as rig:
        pod = rig.add_pod(step_s=0.05, server_environment={"WORKERS": "2"}).start()
        pod.model.hold(1)  # without a step done, no forecast of a slow machine can call for the third task
        for number in (1, 2):
            rig.submit(steps=60, seed=number)
            rig.until(lambda number=number: len(jobs(rig)["running"]) == number)
        rig.submit(steps=60, seed=3)
        rig.until(lambda: rig.depth() == (1, 2))
        pod.model.hold(0)
        rig.wait_until_all_are_notified()
        assert all(notice["result"] for notice in rig.received)
