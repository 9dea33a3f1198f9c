"""Which requests may be denoised together."""

from dataclasses import replace

import pytest
from PIL import Image

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.server.ports import GenerationRequest

SIZE = (64, 64)
ORDER = GenerationRequest(
    job_id="a", task_type=TEXT_TO_IMAGE, prompt="a fox", seeds=(1,), width=64, height=64, steps=4, guidance=3.5
)


@pytest.mark.parametrize("change", [{"prompt": "the moon"}, {"seeds": (2, 3)}, {"job_id": "b"}])
def test_orders_of_other_prompts_and_seeds_are_denoised_together(change):
    assert replace(ORDER, **change).batch_key == ORDER.batch_key


@pytest.mark.parametrize(
    "change",
    [
        {"width": 128},
        {"height": 128},
        {"steps": 5},
        {"guidance": 2.0},
        {"sequence_length": 64},
        {"true_cfg": 2.0},
        {"negative_prompt": "rain"},
        {"loras": (("style", 1.0),)},
        {"preview": True},
        {"task_type": IMAGE_TO_IMAGE},
    ],
)
def test_orders_of_other_settings_are_not(change):
    assert replace(ORDER, **change).batch_key != ORDER.batch_key


def test_two_negative_prompts_are_no_reason_to_part():
    assert replace(ORDER, negative_prompt="rain").batch_key == replace(ORDER, negative_prompt="snow").batch_key


@pytest.mark.parametrize("task", [IMAGE_TO_IMAGE, INPAINTING])
def test_orders_with_images_are_denoised_together_where_their_strength_is_the_same(task):
    first = replace(ORDER, task_type=task, images=(Image.new("RGB", SIZE),), strength=0.5)
    second = replace(first, job_id="b", images=(Image.new("RGB", SIZE, "red"),))

    assert first.batch_key == second.batch_key
    assert first.batch_key != replace(first, strength=0.6).batch_key


def test_an_edit_comes_alone():
    first = replace(ORDER, task_type=EDIT, images=(Image.new("RGB", SIZE),))

    assert first.batch_key != replace(first, job_id="b").batch_key
