"""LoRAs are read once and switched by weight, in compiled models too, without another compilation."""

import numpy as np
import pytest

from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.ports import DrawingWatch

KEYS, OTHER = (
    {"name": name, "source": f"Lora/{file}.safetensors"} for name, file in (("keys", "tiny"), ("other",) * 2)
)
GRAPHS = "unique_graphs"


@pytest.fixture(scope="module")
def pipeline(load_model):
    return load_model(loras=[KEYS, OTHER])


@pytest.fixture
def draw_with(pipeline, make_request, draw):
    """Draws a picture with LoRAs, given their weights."""
    return lambda **loras: draw(pipeline, make_request(loras=tuple(loras.items())))[0][0]


def test_only_the_loras_of_a_request_are_on_with_their_weights(draw_with, draw_one):
    plain, little, first = draw_with(), draw_with(keys=0.3), draw_with(keys=1.0)
    second, both = draw_with(other=1.0), draw_with(keys=1.0, other=1.0)

    assert 0 < np.abs(little - plain).mean() < np.abs(first - plain).mean()
    assert min(np.abs(both - first).max(), np.abs(both - second).max(), np.abs(first - second).max()) > 5
    assert np.array_equal(draw_with(keys=1.0), first)
    assert np.array_equal(draw_with(), draw_one("flux")), "to the bit that of a model that has none"


def test_the_next_batch_can_be_encoded_with_other_loras_than_this_one_is_drawn_with(pipeline, make_request, draw_with):
    now = make_request(loras=(("keys", 1.0),))
    encoded = pipeline.encode([now])
    pipeline.encode([make_request()])

    [[picture]] = pipeline.draw([now], encoded, DrawingWatch())

    assert np.array_equal(np.asarray(picture), draw_with(keys=1.0))


@pytest.mark.parametrize(
    ("source", "model", "reason"),
    [
        ("Lora/absent.safetensors", "flux", r"LoRA style: there is no file Lora/absent\.safetensors"),
        ("flux/model_index.json", "flux", r"LoRA style: flux/model_index\.json does not fit"),
        ("flux/vae/diffusion_pytorch_model.safetensors", "flux", "LoRA style: .*does not fit|nothing in"),
        ("Lora/tiny.safetensors", "sdxl", "LoRA style: "),
    ],
)
def test_a_lora_that_is_missing_or_does_not_fit_is_refused_with_the_reason(load_model, source, model, reason):
    with pytest.raises(PipelineRefusedError, match=reason):
        load_model(source=model, loras=[{"name": "style", "source": source}])


@pytest.fixture
def graphs(monkeypatch):
    """Counts compilations. Graphs run without machine code, which would take minutes to make."""
    import torch._dynamo

    original = torch.nn.Module.compile

    def without_machine_code(module, *args, **options):
        original(module, *args, **options | {"backend": "eager"})

    monkeypatch.setattr(torch.nn.Module, "compile", without_machine_code)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield torch._dynamo.utils.counters["stats"]
    torch._dynamo.reset()


def test_a_compiled_model_draws_the_same_picture_and_compiles_nothing_after_the_warm_up(
    load_model, make_request, draw, draw_one, graphs
):
    compiled = load_model(source="sdxl", compile=True)
    compiled.warm_up()
    before = graphs[GRAPHS]

    for width, height, pictures in ((128, 96, 1), (64, 160, 2), (96, 96, 5)):
        draw(compiled, make_request(width=width, height=height, seeds=tuple(range(pictures))))
    [[picture]] = draw(compiled, make_request())

    assert graphs[GRAPHS] == before > 0
    assert np.abs(picture - draw_one("sdxl")).max() <= 2


def test_weights_of_loras_change_without_another_compilation(load_model, pipeline, make_request, draw, graphs):
    compiled = load_model(loras=[KEYS, OTHER], compile=True)
    draw(compiled, make_request())
    before = graphs[GRAPHS]

    for loras in ((), (("keys", 1.0),), (("keys", 0.5), ("other", -2.0)), (("other", 1.0),), ()):
        quick, plain = (draw(one, make_request(loras=loras))[0][0] for one in (compiled, pipeline))
        assert np.abs(quick - plain).max() <= 2, loras

    assert graphs[GRAPHS] == before > 0
