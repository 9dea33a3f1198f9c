"""The agent and Amazon Bedrock, for which a stand-in answers InvokeModel."""

import io

import pytest
from PIL import Image

from test.kit.managed import managed_runtime

SD35 = {"id": "stability.sd3-5-large-v1:0", "region": "us-west-2", "concurrency": 3}
SEED_BODY = {"text_prompts": [{"text": "a beautiful mountain landscape"}], "seed": 10, "cfg_scale": 10, "steps": 30}
"""As a tutorial on SDXL sends it."""


@pytest.fixture(scope="module")
def sd35(kit):
    with managed_runtime(kit, "bedrock", SD35, "BEDROCK_RUNTIME") as runtime:
        yield runtime


def test_a_task_becomes_a_picture_with_its_seed(sd35):
    rig = sd35.rig
    notice = rig.run({"prompt": "a cat", "seed": 7, "aspect_ratio": "3:2"}, "text-to-image", context="c")
    manifest = rig.manifest(notice)
    (picture,) = manifest["pictures"]
    assert (notice["result"], notice["context"], picture["seed"]) == (True, "c", 7)
    assert Image.open(io.BytesIO(rig.read(picture["url"]))).size == (picture["width"], picture["height"])
    assert manifest["model"] == SD35["id"]
    assert manifest["parameters"]["prompt"] == "a cat"
    assert manifest["answer"]["request_id"] == sd35.calls[-1]["id"]


def test_a_body_of_sdxl_is_drawn_as_it_is_and_each_change_is_named(sd35):
    manifest = sd35.rig.manifest(sd35.rig.run(SEED_BODY, "text-to-image"))
    assert manifest["pictures"][0]["seed"] == 10
    assert manifest["parameters"] == {"prompt": "a beautiful mountain landscape", "seed": 10, "mode": "text-to-image"}
    assert [one.partition(" ")[0] for one in manifest["answer"]["warnings"]] == ["text_prompts", "cfg_scale", "steps"]
