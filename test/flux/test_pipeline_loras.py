"""LoRAs are read once and switched by weight."""

import pytest

from runtimes.flux.options import Lora, ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError

np = pytest.importorskip("numpy", reason="the packages of the group flux are not installed here")
pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

TINY, OTHER = Lora(name="keys", source="Lora/tiny.safetensors"), Lora(name="other", source="Lora/other.safetensors")


@pytest.fixture(scope="module")
def pipeline(tiny_models, tiny_flux):
    from runtimes.flux.server.pipeline.loading import load

    return load(tiny_flux.model_copy(update={"loras": (TINY, OTHER)}), str(tiny_models), 0)


def test_a_lora_changes_the_picture_the_more_the_higher_its_weight(pipeline, make_request, draw):
    plain, little, much = (
        draw(pipeline, make_request(loras=loras))[0][0] for loras in ((), (("keys", 0.3),), (("keys", 1.0),))
    )

    assert 0 < np.abs(little - plain).mean() < np.abs(much - plain).mean()
    assert np.abs(much - plain).max() > 10


def test_a_picture_without_loras_is_to_the_bit_that_of_a_model_that_has_none(pipeline, pipeline_of, make_request, draw):
    draw(pipeline, make_request(loras=(("keys", 1.0), ("other", 0.5))))

    after = draw(pipeline, make_request())[0][0]

    assert np.array_equal(after, draw(pipeline_of("flux"), make_request())[0][0])


def test_only_those_loras_are_on_that_an_order_names(pipeline, make_request, draw):
    one = make_request(loras=(("keys", 1.0),))
    before = draw(pipeline, one)[0][0]
    draw(pipeline, make_request(loras=(("keys", 0.5), ("other", 1.0))))

    assert np.array_equal(draw(pipeline, one)[0][0], before)


def test_two_loras_together_are_neither_of_them(pipeline, make_request, draw):
    first, second, both = (
        draw(pipeline, make_request(loras=loras))[0][0]
        for loras in ((("keys", 1.0),), (("other", 1.0),), (("keys", 1.0), ("other", 1.0)))
    )

    assert min(np.abs(both - first).max(), np.abs(both - second).max(), np.abs(first - second).max()) > 5


def test_the_next_batch_is_encoded_while_this_one_is_drawn_with_other_loras(pipeline, make_request, draw):
    now, following = make_request(loras=(("keys", 1.0),)), make_request()
    expected = draw(pipeline, now)[0][0]
    encoded = pipeline.encode([now])

    pipeline.encode([following])
    from runtimes.flux.server.ports import DrawingWatch

    [[picture]] = pipeline.draw([now], encoded, DrawingWatch())

    assert np.array_equal(np.asarray(picture), expected)


def test_a_batch_with_loras_is_like_its_pictures_alone(pipeline, make_request, draw):
    requests = [make_request(loras=(("keys", 0.8),), seeds=(seed,)) for seed in (1, 2)]

    together = draw(pipeline, *requests)

    assert all(
        np.abs(draw(pipeline, request)[0][0] - row[0]).max() <= 2
        for request, row in zip(requests, together, strict=True)
    )


def test_a_lora_that_is_not_there_is_named(tiny_models, tiny_flux):
    from runtimes.flux.server.pipeline.loading import load

    absent = replace_lora(tiny_flux, "Lora/absent.safetensors")

    with pytest.raises(PipelineRefusedError, match=r"LoRA style: there is no file Lora/absent\.safetensors"):
        load(absent, str(tiny_models), 0)


@pytest.mark.parametrize("content", ["no safetensors", "a model"])
def test_a_file_that_is_no_lora_of_the_model_is_refused_in_words(content, tiny_models, tiny_flux, tmp_path):
    from runtimes.flux.server.pipeline.loading import load

    source = "Lora/broken.safetensors"
    weights = tiny_models / "flux" / "vae" / "diffusion_pytorch_model.safetensors"
    (tiny_models / source).write_bytes(b"nothing" if content == "no safetensors" else weights.read_bytes())

    with pytest.raises(PipelineRefusedError, match=r"LoRA style: .*broken\.safetensors"):
        load(replace_lora(tiny_flux, source), str(tiny_models), 0)


def test_a_lora_of_another_family_is_refused(tiny_models):
    from runtimes.flux.server.pipeline.loading import load

    options = ModelOptions(source="sdxl", dtype="float32", loras=(Lora(name="style", source=TINY.source),))

    with pytest.raises(PipelineRefusedError, match="LoRA style"):
        load(options, str(tiny_models), 0)


def replace_lora(options, source):
    return options.model_copy(update={"loras": (Lora(name="style", source=source),)})
