"""Each family draws requests with the real classes of diffusers."""

import dataclasses
import inspect
import itertools
import shutil
from unittest.mock import patch

import numpy as np
import pytest
import torch

from runtimes.flux.families import EDIT, FAMILIES, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.pipeline.recipes import RECIPES
from runtimes.flux.server.ports import DrawingWatch

CASES = [(family.name, task) for family in FAMILIES.values() for task in family.task_types]
DRAWERS, FAST = ["flux", "sdxl", "sd3"], ["flux", "flux-fill", "flux-kontext", "sdxl", "sd3"]
INPAINTERS = [*((name, INPAINTING) for name in (*DRAWERS, "flux-fill"))]
FROM_IMAGES = [*((name, IMAGE_TO_IMAGE) for name in DRAWERS), *INPAINTERS, ("flux-kontext", EDIT)]
FROM_WORDS = ["flux", "flux-schnell", "flux-kontext", "sdxl", "sd3"]
PROMISED = 2
"""The maximum difference, of 255, between a picture in a batch and the same one drawn alone."""


@pytest.fixture(autouse=True)
def small_references(monkeypatch):
    """Qwen-Image-Edit scales each reference to a megapixel, which takes seconds without a GPU."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus

    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", 96 * 96)
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "CONDITION_IMAGE_SIZE", 96 * 96)


def difference(one, other):
    return np.abs(one - other).max()


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_family_draws_the_requested_number_and_size_of_pictures_and_repeats_them(
    name, task, pipeline_of, make_request, draw
):
    request = make_request(task, seeds=(1, 2), width=96, height=64, steps=2)
    if request.images:
        request = dataclasses.replace(request, width=64)

    [pictures] = draw(pipeline_of(name), request)

    assert [picture.shape for picture in pictures] == [(64, request.width, 3)] * 2
    assert difference(*pictures) > 10, "another seed is another picture"
    if name != "qwen-image-edit":
        assert np.array_equal(draw(pipeline_of(name), request), [pictures])


@pytest.mark.parametrize("name", ["flux", "flux-kontext", "sdxl", "sd3"])
def test_a_picture_equals_the_one_that_diffusers_draws(name, tiny_models, make_request, draw_one):
    from diffusers import DiffusionPipeline

    bare = DiffusionPipeline.from_pretrained(tiny_models / name, dtype=torch.float32)
    bare.set_progress_bar_config(disable=True)
    request = make_request()
    theirs = bare(
        prompt=request.prompt,
        width=96,
        height=64,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        generator=torch.Generator().manual_seed(request.seeds[0]),
        **({"max_area": 96 * 64} if name == "flux-kontext" else {}),
    ).images[0]

    assert difference(draw_one(name, width=96, height=64), np.asarray(theirs)) <= 1


CALLS = sorted({(made.__name__, task) for recipe in RECIPES.values() for task, made in recipe.classes.items()})
DECISIVE = {"num_inference_steps", "guidance_scale", "generator", "output_type", "callback_on_step_end"}
BY_TASK = {EDIT: {"image"}, IMAGE_TO_IMAGE: {"image", "strength"}, INPAINTING: {"image", "mask_image", "strength"}}


@pytest.mark.parametrize(("class_name", "task"), CALLS)
def test_every_class_takes_all_settings_that_affect_its_picture(class_name, task):
    """A setting that a class no longer takes would silently be left out."""
    recipe = RECIPES[class_name]
    decisive = DECISIVE | BY_TASK.get(task, set()) | ({"true_cfg_scale"} if recipe.family.true_cfg > 1 else set())
    decisive |= {"max_area", "_auto_resize"} if class_name == "FluxKontextPipeline" else set()
    decisive |= {"width", "height"} if class_name != "StableDiffusionXLImg2ImgPipeline" else set()
    assert decisive <= inspect.signature(recipe.classes[task].__call__).parameters.keys()


@pytest.mark.parametrize(
    "case",
    [
        *((name, TEXT_TO_IMAGE, dtype) for name in FROM_WORDS for dtype in ("float32", "bfloat16")),
        *((name, task, "float32") for name, task in FROM_IMAGES),
    ],
)
def test_a_picture_in_a_batch_equals_the_same_one_drawn_alone(case, pipeline_of, make_request, draw):
    name, task, dtype = case
    pipeline = pipeline_of(name, dtype)
    first = make_request(task, seeds=(1, 2), negative_prompt="rain")
    turned = tuple(image.rotate(180) for image in first.images)
    moon = "the moon over a very wide sea, painted at night " * 3
    others = [
        make_request(task, prompt=moon, seeds=(3,), negative_prompt="a list", images=turned),
        make_request(task, prompt="snow", seeds=(4,), negative_prompt="a long list of things that nobody wants"),
    ]
    requests = [first] if task == EDIT else [first, *others]

    together = draw(pipeline, *requests)

    for request, row in zip(requests, together, strict=True):
        for seed, picture in zip(request.seeds, row, strict=True):
            [[alone]] = draw(pipeline, dataclasses.replace(request, seeds=(seed,)))
            assert difference(alone, picture) <= PROMISED
    assert difference(*together[0]) > 10


@pytest.mark.parametrize(
    ("name", "extra", "guides"),
    [("sdxl", {}, True), ("sd3", {}, True), ("flux", {"true_cfg": 3.0}, True), ("flux", {}, False)],
)
def test_a_negative_prompt_guides_if_the_family_reads_it(name, extra, guides, draw_one):
    without, with_one = (draw_one(name, negative_prompt=negative, **extra) for negative in (None, "rain and snow"))
    assert (difference(without, with_one) > (2 if guides else 0)) == guides


def test_flux_fill_refuses_true_cfg_with_the_reason(pipeline_of, make_request):
    with pytest.raises(PipelineRefusedError, match="FLUX Fill has no true_cfg_scale"):
        pipeline_of("flux-fill").encode([make_request(INPAINTING, true_cfg=2.0, negative_prompt="rain")])


def test_qwen_edits_by_several_references(given_image, draw_one):
    two = given_image, given_image.rotate(90).resize((96, 48))
    by_one, by_two = (draw_one("qwen-image-edit", EDIT, steps=2, images=images) for images in ((given_image,), two))
    assert by_two.shape == (64, 64, 3)
    assert difference(by_one, by_two) > 2


def test_the_first_qwen_edit_takes_one_image_and_refuses_two(tiny_models, tmp_path, load_model, make_request, draw):
    shutil.copytree(tiny_models / "qwen-image-edit", tmp_path / "first")
    index = tmp_path / "first" / "model_index.json"
    index.write_text(index.read_text().replace("QwenImageEditPlusPipeline", "QwenImageEditPipeline"))
    pipeline = load_model(tmp_path, source="first")

    [pictures] = draw(pipeline, make_request(EDIT, steps=2, seeds=(1, 2), true_cfg=2.0))

    assert [picture.shape for picture in pictures] == [(64, 64, 3)] * 2
    with pytest.raises(PipelineRefusedError, match="edits by one image"):
        pipeline.encode([make_request(EDIT, images=make_request(EDIT).images * 2)])


def test_kontext_reads_its_reference_at_the_size_of_the_request(draw_one):
    """Diffusers alone would scale it to about a megapixel."""
    from diffusers import FluxTransformer2DModel

    forward = FluxTransformer2DModel.forward
    with patch.object(FluxTransformer2DModel, "forward", autospec=True, side_effect=forward) as denoise:
        draw_one("flux-kontext", EDIT, steps=1)
    tokens = denoise.call_args.kwargs["hidden_states"].shape[1]
    assert tokens == 2 * (64 // 16) ** 2, "those of the picture, and those of the reference"


@pytest.mark.parametrize("task", [IMAGE_TO_IMAGE, TEXT_TO_IMAGE])
def test_sdxl_in_float16_decodes_in_float32(task, pipeline_of, make_request, draw):
    """In float16, its autoencoder gives black pictures, also after encoding an image."""
    half, whole = (draw(pipeline_of("sdxl", dtype), make_request(task))[0][0] for dtype in ("float16", "float32"))
    assert np.abs(half - whole).mean() < 3


@pytest.mark.parametrize("name", DRAWERS)
def test_zero_strength_returns_the_image_and_the_smallest_strength_takes_one_step(name, given_image, draw_one):
    assert np.array_equal(draw_one(name, IMAGE_TO_IMAGE, strength=0.0), np.asarray(given_image))
    reported = []
    for steps in (2, 3, 7, 49):
        watch = DrawingWatch(lambda *step: reported.append(step))
        draw_one(name, IMAGE_TO_IMAGE, strength=0.01, steps=steps, watch=watch)
    assert reported == [(1, 1)] * 4


@pytest.mark.parametrize(("name", "task"), [*INPAINTERS, ("flux-kontext", EDIT)])
def test_the_masked_part_stays_exactly_the_same_and_the_rest_is_drawn(name, task, make_request, draw_one):
    mask = make_request(INPAINTING).mask
    redrawn, given = np.asarray(mask) == 255, np.asarray(make_request(task).images[0])

    picture = draw_one(name, task, mask=mask, strength=1.0)

    assert np.array_equal(picture[~redrawn], given[~redrawn])
    assert np.abs(picture[redrawn] - given[redrawn]).mean() > 10


def test_no_prompt_is_logged_not_even_the_cut_end_of_one(draw_one, caplog, capfd):
    texts = {"prompt": "a confidential fox " * 100, "negative_prompt": "a confidential owl " * 100}
    with caplog.at_level("INFO"):
        for name in DRAWERS:
            draw_one(name, true_cfg=2.0, **texts)
    assert "confidential" not in caplog.text + "".join(capfd.readouterr())


def test_overflowing_numbers_give_no_black_picture(draw_one, monkeypatch):
    from diffusers import AutoencoderKL

    decode = AutoencoderKL.decode
    for name, number in itertools.product(FAST, (float("nan"), float("inf"))):
        monkeypatch.setattr(
            AutoencoderKL, "decode", lambda *given, by=number, **more: (decode(*given, **more)[0] * by,)
        )
        with pytest.raises(PipelineRefusedError, match="the model's numbers overflowed"):
            draw_one(name, FAMILIES[name].task_types[0], steps=2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_undefined_schedule_gives_no_black_picture(draw_one):
    with pytest.raises(PipelineRefusedError, match="the model's numbers overflowed, so there is no picture"):
        draw_one("qwen-image-edit", EDIT, steps=1)
