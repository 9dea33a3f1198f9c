"""The agent and Amazon Bedrock, for which a stand-in answers InvokeModel."""

import base64
import io
import time

import pytest
from PIL import Image

from contract.ids import new_job_id
from jobs import commands
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from test.kit.door import Door
from test.kit.managed import managed_runtime
from test.kit.processes import HTTP
from test.kit.rig import SHORT_VISIBILITY_S
from test.kit.tasks import INPUT_PNG

SD35 = {"id": "stability.sd3-5-large-v1:0", "region": "us-west-2", "concurrency": 3}
INPAINT = {"id": "us.stability.stable-image-inpaint-v1:0", "region": "us-east-2"}
SEED_BODY = {"text_prompts": [{"text": "a beautiful mountain landscape"}], "seed": 10, "cfg_scale": 10, "steps": 30}
"""As a tutorial on SDXL sends it."""
SMALL = {"prompt": "a cat", "seed": 7}


def bedrock(kit, model=SD35, **options):
    return managed_runtime(kit, "bedrock", model, "BEDROCK_RUNTIME", **options)


@pytest.fixture(scope="module")
def sd35(kit):
    with bedrock(kit) as runtime:
        yield runtime


def png(size=(128, 96), colour="white"):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def picture_of(rig, notice):
    (url,) = notice["image_url"]
    return Image.open(io.BytesIO(rig.read(url)))


def outcomes(runtime):
    return [call["outcome"] for call in runtime.calls]


def test_a_task_becomes_a_picture_with_its_seed(sd35):
    rig = sd35.rig
    notice = rig.run({**SMALL, "aspect_ratio": "3:2"}, context="c")
    manifest = rig.manifest(notice)
    (picture,) = manifest["pictures"]
    assert (notice["result"], notice["context"], picture["seed"]) == (True, "c", 7)
    assert picture_of(rig, notice).size == (picture["width"], picture["height"]) == (1280, 832)
    assert manifest["model"] == SD35["id"]
    assert manifest["parameters"]["prompt"] == "a cat"
    assert manifest["answer"]["request_id"] == sd35.calls[-1]["id"]


def test_a_body_of_sdxl_is_drawn_as_it_is_and_each_change_is_named(sd35):
    manifest = sd35.rig.manifest(sd35.rig.run(SEED_BODY))
    assert manifest["pictures"][0]["seed"] == 10
    assert manifest["parameters"] == {"prompt": "a beautiful mountain landscape", "seed": 10, "mode": "text-to-image"}
    assert [one.partition(" ")[0] for one in manifest["answer"]["warnings"]] == ["text_prompts", "cfg_scale", "steps"]


def test_a_picture_behind_a_link_is_sent_and_is_in_no_manifest(sd35):
    rig = sd35.rig
    link = rig.upload("in/white.png", png())
    notice = rig.run({"prompt": "a cat", "image": link, "strength": 0}, "image-to-image")
    assert picture_of(rig, notice).getpixel((5, 5)) == (255, 255, 255)
    assert rig.manifest(notice)["parameters"]["image"] == f"<{len(png())} bytes>"


@pytest.mark.parametrize(
    ("source", "drawn"), [("MASK_IMAGE_WHITE", False), ("MASK_IMAGE_BLACK", True)], ids=["white", "black"]
)
def test_what_sdxl_would_draw_inside_a_mask_is_what_is_drawn(kit, source, drawn):
    with bedrock(kit, INPAINT) as runtime:
        image, mask = (base64.b64encode(png(colour=colour)).decode() for colour in ("red", "black"))
        body = {"text_prompts": [{"text": "a cat"}], "init_image": image, "mask_source": source, "mask_image": mask}
        notice = runtime.rig.run(body, "inpainting")
        assert (picture_of(runtime.rig, notice).getpixel((5, 5)) != (255, 0, 0)) == drawn


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ({"prompt": "a nude cat"}, "content_filtered", "Filter reason: prompt"),
        ({"prompt": "a filtered-output cat"}, "content_filtered", "Filter reason: output image"),
        ({"prompt": "a cat", "steps": 3}, "invalid_task", "steps is not a known key"),
    ],
)
def test_what_is_the_tasks_own_fault_fails_it_at_once(sd35, content, code, words):
    notice = sd35.rig.run(content)
    assert (notice["status"], notice["error"]["code"]) == ("failed", code)
    assert words in notice["error"]["message"]
    assert sd35.rig.dead_letters() == []


def test_pictures_that_the_model_does_not_take_are_all_named_and_no_call_is_paid_for(kit):
    with bedrock(kit, INPAINT) as runtime:
        gif = io.BytesIO()
        Image.new("L", (128, 128)).save(gif, "GIF")
        tiny = base64.b64encode(png((63, 200))).decode()
        body = {"prompt": "a cat", "image": tiny, "mask": base64.b64encode(gif.getvalue()).decode()}
        error = runtime.rig.run(body, "inpainting")["error"]
        assert error["code"] == "input_failed"
        assert "image: is an image of 63 x 200 pixels; each side must have at least 64" in error["message"]
        assert "mask: is an image of type image/gif; the model takes JPEG, PNG or WebP" in error["message"]
        assert runtime.calls == []


def test_throttled_calls_are_made_again_and_cost_no_attempt(sd35):
    sd35.faults(throttle_jobs=1)
    job = new_job_id()
    notice = sd35.rig.run(SMALL, job=job)
    record = sd35.rig.record(job)
    assert (notice["result"], record.attempts, record.claims) == (True, 1, 2)
    assert "ThrottlingException" in outcomes(sd35)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("deny_jobs", "AccessDeniedException"),
        ("fail_jobs", "InternalServerException"),
        ("oom_jobs", "ModelErrorException"),
    ],
)
def test_what_is_the_services_or_the_operators_fault_is_logged_counted_and_tried_again(kit, fault, words):
    with bedrock(kit) as runtime:
        runtime.faults(**{fault: 1})
        job = new_job_id()
        notice = runtime.rig.run(SMALL, job=job)
        record = runtime.rig.record(job)
        assert (notice["result"], record.attempts) == (True, 2)
        assert words in runtime.agent.log
        assert "a cat" not in runtime.agent.log


@pytest.mark.parametrize("deadlines", [None, {"execution_seconds": 1}], ids=["cancelled", "late"])
def test_a_job_that_is_cancelled_or_late_ends_although_its_call_hangs(kit, deadlines):
    with bedrock(kit) as runtime:
        runtime.faults(hang_jobs=1)
        job, rig = new_job_id(), runtime.rig
        task_id = rig.submit(SMALL, job=job, deadlines=deadlines)
        runtime.until(lambda: runtime.calls)
        if not deadlines:
            rig.update(commands.request_cancel(job, time.time()))
        ending = ("failed", "deadline_exceeded") if deadlines else ("cancelled", "cancelled")
        notice = rig.notice(task_id)
        assert (notice["status"], notice["error"]["code"]) == ending
        assert rig.run(SMALL)["result"]


def test_a_job_whose_agent_is_killed_in_mid_call_is_drawn_by_the_next_agent_and_notified_once(kit):
    with bedrock(kit, rig={"visibility_s": SHORT_VISIBILITY_S}) as runtime:
        rig, job = runtime.rig, new_job_id()
        runtime.faults(hang_jobs=1)
        task_id = rig.submit(SMALL, job=job)
        runtime.until(lambda: runtime.calls)
        runtime.agent.kill()
        runtime.agent.start()
        assert rig.notice(task_id)["result"]
        rig.wait_until_all_are_notified()
        assert len(rig.notices(task_id)) == 1
        assert outcomes(runtime) == ["running", "done"]


def test_no_more_calls_are_made_at_once_than_the_configuration_says(kit):
    with bedrock(kit) as runtime:
        runtime.faults(hang_jobs=5)
        for _ in range(5):
            runtime.rig.submit(SMALL)
        runtime.until(lambda: len(runtime.calls) == SD35["concurrency"])
        assert runtime.rig.depth() == (2, 3)


def test_the_kits_own_picture_is_one_that_bedrock_takes(sd35):
    link = sd35.rig.upload("in/kit.png", INPUT_PNG)
    assert sd35.rig.run({"prompt": "a cat", "image": link, "strength": 0.5}, "image-to-image")["result"]


def test_the_api_warns_of_what_becomes_of_a_body_of_sdxl_and_rejects_what_the_model_does_not_take(kit):
    with kit.rig("bedrock") as rig:
        deployed = DeployedRuntime(name=rig.name, type="bedrock", options=SD35)
        rig.catalog_file.write_text(RuntimeCatalog([deployed]).to_json(), encoding="utf-8")
        door = Door(rig)

        def submit(**content):
            body = {"runtime": rig.name, "type": "text-to-image", "content": content}
            return HTTP.post(f"{door.base}/v1/jobs", json=body, headers={"x-api-key": "key"}, timeout=30)

        accepted = submit(**SEED_BODY)
        assert accepted.status_code == 202, accepted.text
        warnings = {one["pointer"]: one["detail"] for one in accepted.json()["warnings"]}
        assert warnings.keys() == {f"content.{name}" for name in ("text_prompts", "cfg_scale", "steps")}
        rejected = submit(promt="a cat", **SEED_BODY, samples=2)
        assert rejected.status_code == 400
        assert "samples" in rejected.text
        assert "promt" in rejected.text
