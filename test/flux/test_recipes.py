"""What diffusers' classes are called with: a setting that a class no longer takes would be left out without a word."""

import inspect

import pytest

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING
from runtimes.flux.server.pipeline.recipes import RECIPES

ALWAYS = {"num_inference_steps", "guidance_scale", "generator", "output_type", "callback_on_step_end"}
SIZE = {"width", "height"}
BY_TASK = {EDIT: {"image"}, IMAGE_TO_IMAGE: {"image", "strength"}, INPAINTING: {"image", "mask_image", "strength"}}
BY_CLASS = {"FluxKontextPipeline": {"max_area", "_auto_resize"}}
IN_THE_IMAGES_SIZE = {"StableDiffusionXLImg2ImgPipeline"}
CALLS = sorted(
    {
        (made.__name__, task_type, recipe.family.true_cfg > 1)
        for recipe in RECIPES.values()
        for task_type, made in recipe.classes.items()
    }
)


@pytest.mark.parametrize(("class_name", "task_type", "has_true_cfg"), CALLS)
def test_every_class_takes_all_settings_that_decide_its_picture(class_name, task_type, has_true_cfg):
    made = RECIPES[class_name].classes[task_type]
    decisive = ALWAYS | BY_TASK.get(task_type, set()) | BY_CLASS.get(class_name, set())
    if class_name not in IN_THE_IMAGES_SIZE:
        decisive |= SIZE
    if has_true_cfg:
        decisive |= {"true_cfg_scale"}
    assert decisive <= inspect.signature(made.__call__).parameters.keys()
