"""The agent beside the real FLUX server, whose pipeline paints instead of denoising."""

import io
import os
import signal
import statistics
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from contract.job import new_job_id

SMALL = {"prompt": "a cat, https://example.com/cat.png", "width": 128, "height": 64, "num_inference_steps": 2}
TEXT = "text-to-image"


def shape(data):
    image = Image.open(io.BytesIO(data))
    return image.format, image.size


def test_a_task_becomes_a_picture_with_its_seed(flux):
    notice = flux.run({**SMALL, "seed": 7}, TEXT, context="c")
    manifest = flux.manifest(notice)
    (picture,) = manifest["pictures"]
    assert (notice["result"], notice["context"], notice["image_url"]) == (True, "c", [picture["url"]])
    assert shape(flux.read(picture["url"])) == ("PNG", (128, 64))
    assert (picture["seed"], picture["content_type"]) == (7, "image/png")
    assert manifest["parameters"]["prompt"] == SMALL["prompt"]
    assert manifest["answer"]["seeds"] == [7]
    assert manifest["answer"]["timings_s"].keys() == {"queue", "encode", "denoise", "decode", "finish"}


def test_a_seed_that_the_server_drew_is_told_and_gives_the_same_picture_again(flux):
    (first,) = flux.manifest(flux.run(SMALL, TEXT))["pictures"]
    (again,) = flux.manifest(flux.run({**SMALL, "seed": first["seed"]}, TEXT))["pictures"]
    assert flux.read(first["url"]) == flux.read(again["url"])


def test_every_picture_that_is_asked_for_is_stored_in_order_with_its_own_seed(flux):
    pictures = flux.manifest(flux.run({**SMALL, "seed": 7, "num_images": 3, "output_format": "webp"}, TEXT))["pictures"]
    assert [picture["seed"] for picture in pictures] == [7, 8, 9]
    assert len({flux.read(picture["url"]) for picture in pictures}) == 3
    assert [picture["url"].rpartition(".")[2] for picture in pictures] == ["webp"] * 3


def test_what_has_no_effect_is_said_in_the_manifest(flux):
    (warning,) = flux.manifest(flux.run({**SMALL, "negative_prompt": "dogs"}, TEXT))["answer"]["warnings"]
    assert warning.startswith("negative_prompt has no effect")


@pytest.mark.parametrize("by_web", [False, True])
@pytest.mark.parametrize("field", ["image", "image_url", "images"])
def test_an_edit_reads_the_image_behind_its_link_and_gives_a_preview_and_the_picture(flux, input_png, field, by_web):
    link = flux.upload("inputs/a.png", input_png)
    if by_web:
        link = flux.s3.generate_presigned_url("get_object", Params={"Bucket": flux.bucket, "Key": "inputs/a.png"})
    content = {"instructions": "make it red", "size": "256x128", "seed": 7, "preview": True, "num_inference_steps": 4}
    notice = flux.run(content | {field: [link] if field == "images" else link}, "edit")
    manifest = flux.manifest(notice)
    preview, picture = (flux.read(url) for url in notice["image_url"])
    assert preview != picture
    assert shape(picture) == ("PNG", (256, 128))
    assert [entry["seed"] for entry in manifest["pictures"]] == [7, 7]
    assert manifest["parameters"]["instructions"] == "make it red"


def test_a_link_to_something_else_fails_the_task_and_names_the_field(flux):
    link = flux.upload("inputs/a.flac", b"fLaC" + bytes(300))
    error = flux.run({"instructions": "a", "image_url": link}, "edit")["error"]
    assert error == {"code": "input_failed", "message": "image_url: the link holds no image"}


def test_a_malformed_request_fails_at_once_with_every_fault(flux):
    given = flux.given
    error = flux.run({"prompt": "", "num_images": 0, "colour": "red"}, TEXT)["error"]
    assert error["code"] == "invalid_task"
    for words in ("prompt must not be empty", "num_images", "colour is not a known key"):
        assert words in error["message"]
    assert flux.given == given


def test_what_the_model_does_not_do_fails_at_once_with_every_fault_in_the_servers_words(flux):
    error = flux.run({**SMALL, "width": 1000, "height": 4096, "lora_weights": {"none": 1}}, TEXT)["error"]
    assert error["code"] == "rejected"
    for words in ("width must be a multiple of 16", "width times height", "lora_weights.none is no LoRA"):
        assert words in error["message"], error
    assert flux.run({"instructions": "a", "image": "bm8gaW1hZ2U="}, "edit")["error"] == {
        "code": "rejected",
        "message": "image is not an image; it may be PNG, JPEG, WEBP, GIF, BMP, TIFF, AVIF",
    }


LONG = {**SMALL, "num_inference_steps": 60}
"""Takes 3 s."""


def test_a_job_over_its_deadline_is_stopped_in_the_server(flux):
    before = flux.jobs["cancelled"]
    notice = flux.run(LONG, TEXT, deadlines={"execution_seconds": 1})
    assert notice["error"]["code"] == "deadline_exceeded"
    assert (flux.jobs["running"], len(flux.jobs["cancelled"])) == ([], len(before) + 1)


def test_a_running_job_is_cancelled_in_the_server(flux):
    job = new_job_id()
    flux.submit({**LONG, "num_inference_steps": 200}, TEXT, job=job)
    flux.until(lambda: flux.jobs["running"])
    flux.dynamodb.update_item(**flux.table.request_cancel(job, time.time()))
    assert flux.notice()["status"] == "cancelled"
    assert flux.jobs["running"] == []


def test_the_next_job_waits_in_the_server_while_one_runs(flux):
    for _ in range(5):
        flux.submit({**SMALL, "num_inference_steps": 20}, TEXT)
    waited_s = [flux.manifest(flux.notice())["answer"]["timings_s"]["queue"] for _ in range(5)]
    assert statistics.median(waited_s) > 0.02, waited_s  # one that finds the painter free waits for 0.004 s


def test_tasks_that_wait_together_are_drawn_together_though_the_server_decides_before_its_last_step(flux_alone):
    flux_alone.start_server(STANDIN_STEP_SECONDS="0.5")
    flux_alone.start_agent()
    flux_alone.submit({**SMALL, "num_inference_steps": 4}, TEXT)
    flux_alone.until(lambda: flux_alone.jobs["running"])
    for _ in range(6):
        flux_alone.submit({**SMALL, "num_inference_steps": 4}, TEXT)
    assert all(flux_alone.notice()["result"] for _ in range(7))
    assert flux_alone.batches == [1, 4, 2]


def test_each_gpu_of_a_pod_has_a_task_and_what_neither_could_begin_is_left_to_other_pods(flux_alone):
    flux_alone.start_server(WORKERS="2")
    flux_alone.start_agent()
    for _ in range(3):
        flux_alone.submit(LONG, TEXT)
    flux_alone.until(lambda: len(flux_alone.jobs["running"]) == 2)
    assert flux_alone.queue_depth() == (1, 2)
    assert all(flux_alone.notice()["result"] for _ in range(3))


def test_a_job_whose_worker_dies_is_drawn_again_by_the_server_itself(flux):
    given, job = flux.given, new_job_id()
    flux.submit(LONG, TEXT, job=job)
    flux.until(lambda: flux.jobs["running"])
    os.kill(worker_of(flux.server), signal.SIGKILL)
    assert flux.notice()["result"]
    assert (flux.record(job).attempts, len(flux.given - given)) == (1, 1)


def test_out_of_memory_is_tried_again(flux):
    flux.faults(out_of_memory_above=-1)
    job = new_job_id()
    flux.submit(SMALL, TEXT, job=job)
    flux.until(lambda: "out of memory" in flux.log)
    flux.faults()
    assert flux.notice()["result"]
    assert flux.record(job).attempts == 2


def test_a_job_whose_server_dies_is_done_once_by_the_next_one(own_flux):
    own_flux.start_agent()
    task_id = own_flux.submit({**LONG, "num_images": 2}, TEXT)
    own_flux.until(lambda: own_flux.jobs["running"])
    own_flux.server.kill()
    own_flux.server.wait()
    own_flux.start_server()
    notice = own_flux.notice()
    assert (notice["id"], notice["result"], len(notice["image_url"])) == (task_id, True, 2)
    own_flux.until(own_flux.is_empty)
    assert len(own_flux.given) == 1
    assert len(own_flux.s3.list_objects_v2(Bucket=own_flux.bucket)["Contents"]) == 3  # the manifest is one of them


def test_a_job_that_outlives_its_agent_is_adopted_by_the_next_one(own_flux):
    own_flux.start_agent()
    own_flux.submit({**SMALL, "num_inference_steps": 160}, TEXT)
    own_flux.until(lambda: own_flux.jobs["running"])
    own_flux.agent.kill()
    own_flux.start_agent()
    assert own_flux.notice(timeout_s=60)["result"]
    assert len(own_flux.given) == 1
    assert "the job's former run is adopted" in own_flux.log


def test_what_a_former_agent_left_waiting_in_the_server_is_withdrawn(own_flux):
    left = [new_job_id() for _ in range(4)]
    for job, steps in zip(left, (200, 11, 12, 13), strict=True):  # jobs of one length would be drawn together
        body = {"job_id": job, "task_type": TEXT, "request": {**SMALL, "num_inference_steps": steps}}
        httpx.post(f"{own_flux.server_url}/jobs", json=body).raise_for_status()
    own_flux.until(lambda: own_flux.jobs["running"] == left[:1])
    own_flux.start_agent()
    own_flux.until(lambda: own_flux.jobs["cancelled"] == left[1:])
    assert own_flux.jobs["running"] == left[:1]


def worker_of(server):
    """The process that has the server's GPU."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return next(int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
