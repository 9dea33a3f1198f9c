import base64
import io
import re

import pytest
from PIL import Image

from contract.ids import new_job_id
from jobs.job import StoredOutput
from test.kit.processes import HTTP, wait_for
from test.kit.tasks import INPUT_PNG

ENCODED = base64.b64encode(INPUT_PNG).decode()
SMALL = {"steps": 2, "width": 64, "height": 64}


def image(data):
    return Image.open(io.BytesIO(data))


def test_a_task_becomes_a_picture_a_manifest_and_a_notice(sdwebui):
    job = new_job_id()
    notice = sdwebui.run({"prompt": "a dog", "seed": 7, **SMALL}, id="test-t2i", context={"abc": 123}, job=job)
    (url,) = notice["image_url"]
    assert re.fullmatch(rf"s3://{sdwebui.bucket}/output/test-t2i/test-t2i-[0-9a-z]{{12}}-1\.png", url)
    assert notice["output_url"] == re.sub(r"-1\.png$", ".out", url)
    assert (notice["result"], notice["status"], notice["context"]) == (True, "succeeded", {"abc": 123})
    assert notice.attributes == {"runtime": sdwebui.name, "result": "true"}
    assert image(sdwebui.read(url)).size == (64, 64)
    size = {"size_bytes": len(sdwebui.read(url)), "width": 64, "height": 64}
    assert sdwebui.record(job).outputs == (StoredOutput(content_type="image/png", seed=7, **size),)
    manifest = sdwebui.manifest(notice)
    assert (manifest["pictures"][0]["seed"], manifest["model"], manifest["parameters"]["steps"]) == (7, "a", 2)


def test_a_link_a_web_link_and_the_picture_itself_give_the_same_input_and_neither_they_nor_prompts_are_logged(sdwebui):
    links = (sdwebui.upload("inputs/secret-name.png", INPUT_PNG), sdwebui.web_link("inputs/secret-name.png"))
    pictures = set()
    for picture in (*links, ENCODED, f"data:image/png;base64,{ENCODED}"):
        content = {
            "prompt": "a secret unicorn",
            "seed": 5,
            "denoising_strength": 0.5,
            "init_images": [picture],
            **SMALL,
        }
        pictures.add(sdwebui.read(sdwebui.run(content, "image-to-image")["image_url"][0]))
    assert len(pictures) == 1
    assert '"job"' in sdwebui.pod.log
    assert "unicorn" not in sdwebui.pod.log
    assert "secret-name" not in sdwebui.pod.log


def test_settings_of_one_task_do_not_stick_for_the_next(sdwebui):
    # CLIP_stop_at_last_layers is absent from SD WebUI's saved configuration: on its own it would never restore it.
    settings = {"override_settings": {"CLIP_stop_at_last_layers": 3}, "override_settings_restore_afterwards": False}
    sdwebui.run({"prompt": "x", **settings, **SMALL})
    after = sdwebui.manifest(sdwebui.run({"prompt": "x", **SMALL}))
    assert "Clip skip" not in after["answer"]["info"]["infotexts"][0]


@pytest.mark.parametrize(
    ("tasktype", "content"),
    [
        ("extra-single-image", {"image": ENCODED, "upscaling_resize": 1, "upscaler_1": "esrgan_4X"}),
        ("text-to-image", {"enable_hr": True, "hr_upscaler": "latent (NEAREST)", **SMALL}),
        ("text-to-image", {"enable_hr": True, "hr_upscaler": "swinir 4X", **SMALL}),
    ],
)
def test_upscalers_and_latent_modes_are_taken_in_any_case(sdwebui, tasktype, content):
    notice = sdwebui.run(content, tasktype)
    assert notice["result"], notice


def test_an_unknown_upscaler_fails_with_the_list_of_those_there_are(sdwebui):
    error = sdwebui.run({"image": ENCODED, "upscaler_1": "4x-UltraSharp"}, "extra-single-image")["error"]
    assert error["code"] == "rejected"
    assert "R-ESRGAN 4x+" in error["message"]


def test_a_batch_of_images_comes_back_numbered(sdwebui):
    link = sdwebui.upload("inputs/d.png", INPUT_PNG)
    content = {"imageList": [{"data": link, "name": "a"}, {"data": link, "name": "b"}], "upscaler_1": "Lanczos"}
    notice = sdwebui.run(content, "extra-batch-images")
    assert [url[-6:] for url in notice["image_url"]] == ["-1.png", "-2.png"]


def test_several_pictures_are_numbered_with_their_seeds_and_neither_grid_nor_files_are_made_of_them(sdwebui):
    settings = {"override_settings": {"return_grid": True}, "save_images": True}
    notice = sdwebui.run(
        {"prompt": "x", "seed": 10, "batch_size": 2, "n_iter": 2, **settings, **SMALL}, "text-to-image"
    )
    manifest = sdwebui.manifest(notice)
    assert manifest["answer"]["info"]["index_of_first_image"] == 0
    assert manifest["parameters"]["save_images"] is False
    assert [picture["seed"] for picture in manifest["pictures"]] == [10, 11, 12, 13]
    assert {image(sdwebui.read(url)).size for url in notice["image_url"]} == {(64, 64)}


def test_a_dynamic_runtime_draws_with_the_checkpoint_asked_for_by_any_name(dynamic_sdwebui):
    for name, model in (("b.ckpt", "b"), ("a", "a"), ("B.ckpt", "b"), ("a.safetensors [0000]", "a")):
        notice = dynamic_sdwebui.run({"alwayson_scripts": {"sd_model_checkpoint": name}, **SMALL})
        assert dynamic_sdwebui.manifest(notice)["model"] == model
    kept = dynamic_sdwebui.run({"prompt": "x", **SMALL})
    assert dynamic_sdwebui.manifest(kept)["model"] == "a"
    # As many as CACHED_CHECKPOINTS says stay loaded.
    assert HTTP.get(f"{dynamic_sdwebui.pod.server_url}/sdapi/v1/options").json()["sd_checkpoints_limit"] == 3


def test_a_server_that_started_before_its_files_were_there_draws_with_the_runtimes_checkpoint_alone(kit):
    with kit.rig("sdwebui") as rig:
        static = {"DYNAMIC_SD_MODEL": "false", "MODEL_FILENAME": "b.ckpt"}
        pod = rig.add_pod(server_arguments=["--late-models"], **static).start()
        task = rig.submit({"prompt": "x", **SMALL})
        wait_for(lambda: "waiting for the model server's checkpoint" in pod.log, lambda: pod.log)
        assert pod.generations == []
        pod.model.faults(late_models=False)
        assert rig.manifest(rig.notice(task))["model"] == "b"  # SD WebUI itself would take the first it finds


@pytest.mark.parametrize(
    ("content", "tasktype", "words"),
    [
        ({"steps": 0}, "text-to-image", "integer division or modulo by zero"),
        ({"width": "abc"}, "text-to-image", "body.width: value is not a valid integer"),
        ({}, "image-to-image", "Init image not found"),
    ],
)
def test_what_the_server_refuses_fails_the_task_in_the_servers_words(sdwebui, content, tasktype, words):
    notice = sdwebui.run(content, tasktype)
    assert (notice["result"], notice["image_url"]) == (False, [])
    assert words in notice["error"]["message"]
    assert sdwebui.manifest(notice)["error"] == notice["error"]
    assert notice.attributes["result"] == "false"


def test_a_tenant_goes_on_with_its_own_pictures_and_draws_from_nobody_elses(sdwebui):
    drawn = sdwebui.run({"prompt": "a cat", **SMALL}, tenant="ours")
    assert drawn.attributes["tenant"] == "ours"
    edit = {"init_images": drawn["image_url"], **SMALL}
    assert sdwebui.run(edit, "image-to-image", tenant="ours")["result"]
    refused = sdwebui.run(edit, "image-to-image", tenant="theirs")
    assert refused["error"]["code"] == "input_failed"
    assert "not a result of the same API key" in refused["error"]["message"]
