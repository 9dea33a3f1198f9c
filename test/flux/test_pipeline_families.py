"""Each family draws what is asked for, through the real classes of diffusers."""

import dataclasses
import shutil

import pytest

from runtimes.flux.families import EDIT, FAMILIES, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError

np = pytest.importorskip("numpy", reason="the packages of the group flux are not installed here")
torch = pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

CASES = [(family.name, task) for family in FAMILIES.values() for task in family.task_types]
FAST_CASES = [(name, task) for name, task in CASES if name != "qwen-image-edit"]


@pytest.fixture(autouse=True)
def small_references(monkeypatch):
    """Qwen-Image-Edit brings each reference to a megapixel, which takes seconds without a GPU."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus

    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", 96 * 96)
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "CONDITION_IMAGE_SIZE", 96 * 96)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_family_draws_as_many_pictures_of_the_size_as_are_asked_for(name, task, pipeline_of, make_request, draw):
    asked = make_request(task, seeds=(1, 2), width=64, height=64, steps=2)

    [pictures] = draw(pipeline_of(name), asked)

    assert [picture.shape for picture in pictures] == [(64, 64, 3)] * 2
    assert np.abs(pictures[0] - pictures[1]).max() > 10, "another seed is another picture"


@pytest.mark.parametrize(("name", "task"), FAST_CASES)
def test_a_seed_gives_the_same_picture_again(name, task, pipeline_of, make_request, draw):
    asked = make_request(task, steps=2)

    first, second = (draw(pipeline_of(name), asked)[0][0] for _ in range(2))

    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", ["flux", "flux-kontext", "sdxl", "sd3"])
def test_a_picture_is_the_one_that_diffusers_draws_by_itself(name, tiny_models, pipeline_of, make_request, draw):
    from diffusers import DiffusionPipeline

    bare = DiffusionPipeline.from_pretrained(tiny_models / name, dtype=torch.float32)
    bare.set_progress_bar_config(disable=True)
    asked = make_request(width=96, height=64)
    sizes = {"max_area": 96 * 64} if name == "flux-kontext" else {}

    [[ours]] = draw(pipeline_of(name), asked)
    theirs = bare(
        prompt=asked.prompt,
        width=96,
        height=64,
        num_inference_steps=asked.steps,
        guidance_scale=asked.guidance,
        generator=torch.Generator().manual_seed(asked.seeds[0]),
        **sizes,
    ).images[0]

    assert np.abs(ours - np.asarray(theirs)).max() <= 1


@pytest.mark.parametrize("name", ["flux", "flux-fill", "flux-kontext", "sdxl", "sd3"])
def test_another_prompt_is_another_picture(name, pipeline_of, make_request, draw):
    pipeline = pipeline_of(name)
    task = pipeline.card.row.task_types[0]

    [[fox]], [[moon]] = (draw(pipeline, make_request(task, prompt=prompt)) for prompt in ("a fox", "the moon at night"))

    assert np.abs(fox - moon).max() > 2


@pytest.mark.parametrize("name", FAMILIES)
def test_a_long_prompt_is_cut_where_it_is_asked_for_but_for_families_whose_row_says_that_it_is_not(
    name, pipeline_of, make_request
):
    pipeline, family = pipeline_of(name), FAMILIES[name]
    request = make_request(family.task_types[0], prompt="fox " * 400)

    short, longer = (
        pipeline.encode([dataclasses.replace(request, sequence_length=length)])[0]["prompt_embeds"].shape[1]
        for length in (24, 40)
    )

    assert longer - short == (0 if family.sequence_length is None else 40 - 24)
    assert (longer > 400) == family.whole_prompts


@pytest.mark.parametrize(("name", "extra"), [("sdxl", {}), ("sd3", {}), ("flux", {"true_cfg": 3.0})])
def test_a_negative_prompt_guides(name, extra, pipeline_of, make_request, draw):
    without, with_one = (make_request(negative_prompt=negative, **extra) for negative in (None, "rain and snow"))

    assert np.abs(draw(pipeline_of(name), without)[0][0] - draw(pipeline_of(name), with_one)[0][0]).max() > 2


def test_flux_without_true_cfg_passes_over_a_negative_prompt(pipeline_of, make_request, draw):
    without, with_one = (make_request(negative_prompt=negative) for negative in (None, "rain"))

    assert np.array_equal(draw(pipeline_of("flux"), without)[0][0], draw(pipeline_of("flux"), with_one)[0][0])


def test_flux_fill_refuses_true_cfg_in_words(pipeline_of, make_request):
    with pytest.raises(PipelineRefusedError, match="FLUX Fill has no true_cfg_scale"):
        pipeline_of("flux-fill").encode([make_request(INPAINTING, true_cfg=2.0, negative_prompt="rain")])


def test_qwen_edits_by_several_references(pipeline_of, make_request, given_image, draw):
    one = make_request(EDIT, steps=2)
    two = make_request(EDIT, steps=2, images=(given_image, given_image.rotate(90).resize((96, 48))))

    [[by_one]], [[by_two]] = (draw(pipeline_of("qwen-image-edit"), request) for request in (one, two))

    assert by_two.shape == (64, 64, 3)
    assert np.abs(by_one - by_two).max() > 2


def test_the_first_qwen_edit_takes_one_image_and_refuses_two(tiny_models, tmp_path, make_request, given_image, draw):
    from runtimes.flux.server.pipeline.loading import load

    shutil.copytree(tiny_models / "qwen-image-edit", tmp_path / "first")
    index = tmp_path / "first" / "model_index.json"
    index.write_text(index.read_text().replace("QwenImageEditPlusPipeline", "QwenImageEditPipeline"))
    pipeline = load(ModelOptions(source="first", dtype="float32"), str(tmp_path), 0)

    [pictures] = draw(pipeline, make_request(EDIT, steps=2, seeds=(1, 2), true_cfg=2.0))

    assert [picture.shape for picture in pictures] == [(64, 64, 3)] * 2
    with pytest.raises(PipelineRefusedError, match="edits by one image"):
        pipeline.encode([make_request(EDIT, images=(given_image, given_image))])


def test_kontext_reads_its_reference_at_the_size_that_the_order_has(pipeline_of, make_request, draw, monkeypatch):
    """By itself diffusers would bring it to about a megapixel."""
    from diffusers import FluxTransformer2DModel

    tokens = []
    forward = FluxTransformer2DModel.forward

    def counted(self, *args, **values):
        tokens.append(values["hidden_states"].shape[1])
        return forward(self, *args, **values)

    monkeypatch.setattr(FluxTransformer2DModel, "forward", counted)

    draw(pipeline_of("flux-kontext"), make_request(EDIT, steps=1))

    assert tokens == [2 * (64 // 16) ** 2], "those of the picture, and those of the reference"


@pytest.mark.parametrize("name", ["flux", "flux-kontext", "sdxl", "sd3"])
def test_a_size_that_is_no_square_is_kept(name, pipeline_of, make_request, draw):
    assert draw(pipeline_of(name), make_request(TEXT_TO_IMAGE, width=112, height=48))[0][0].shape == (48, 112, 3)


def test_sdxl_in_float16_decodes_in_float32(pipeline_of, make_request, draw):
    """Its autoencoder gives black pictures in float16, also after an image was encoded."""
    half = pipeline_of("sdxl", "float16")
    requests = make_request(IMAGE_TO_IMAGE), make_request()

    for request in requests:
        assert np.abs(draw(half, request)[0][0] - draw(pipeline_of("sdxl"), request)[0][0]).mean() < 3
        assert half._pipe.vae.dtype == torch.float32


def test_no_prompt_is_logged(pipeline_of, make_request, draw, caplog, capfd):
    """Not even the end of one that is longer than the model reads."""
    asked = make_request(prompt="a confidential fox " * 100, negative_prompt="a confidential owl " * 100, true_cfg=2.0)

    with caplog.at_level("INFO"):
        for name in ("flux", "sdxl", "sd3"):
            draw(pipeline_of(name), asked)

    assert "confidential" not in caplog.text + "".join(capfd.readouterr())
