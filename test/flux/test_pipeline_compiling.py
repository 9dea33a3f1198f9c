"""Compiled denoisers: the same pictures, and nothing that is compiled anew between requests."""

import pytest

from runtimes.flux.options import ModelOptions

np = pytest.importorskip("numpy", reason="the packages of the group flux are not installed here")
torch = pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

GRAPHS = "unique_graphs"


@pytest.fixture(autouse=True)
def graphs(monkeypatch):
    """How often something was compiled. Graphs are run as they are: making machine code of them takes minutes."""
    import torch._dynamo

    original = torch.nn.Module.compile

    def without_machine_code(module, *args, **options):
        original(module, *args, **options | {"backend": "eager"})

    monkeypatch.setattr(torch.nn.Module, "compile", without_machine_code)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield torch._dynamo.utils.counters["stats"]
    torch._dynamo.reset()


@pytest.fixture
def compiled(tiny_models):
    from runtimes.flux.server.pipeline.loading import load

    return load(ModelOptions(source="sdxl", dtype="float32", compile=True), str(tiny_models), 0)


def test_a_compiled_model_draws_the_same_picture(compiled, pipeline_of, make_request, draw, graphs):
    ours, plain = (draw(pipeline, make_request())[0][0] for pipeline in (compiled, pipeline_of("sdxl")))

    assert graphs[GRAPHS] > 0
    assert np.abs(ours - plain).max() <= 2


def test_after_warming_up_no_size_and_no_number_of_pictures_is_compiled_anew(compiled, make_request, draw, graphs):
    compiled.warm_up()
    before = graphs[GRAPHS]

    for width, height, pictures in ((128, 96, 1), (64, 160, 2), (96, 96, 5)):
        draw(compiled, make_request(width=width, height=height, seeds=tuple(range(pictures))))

    assert graphs[GRAPHS] == before > 0


def test_weights_of_loras_are_switched_without_compiling_anew(tiny_models, graphs):
    from diffusers import UNet2DConditionModel
    from peft import LoraConfig

    from runtimes.flux.server.pipeline.lora_adapters import CompiledLoraSwitch, LoraSwitch

    def with_loras():
        torch.manual_seed(1)
        unet = UNet2DConditionModel.from_pretrained(tiny_models / "sdxl" / "unet")
        for adapter in ("lora0", "lora1"):
            unet.add_adapter(LoraConfig(r=2, lora_alpha=3, target_modules=["to_q"], init_lora_weights=False), adapter)
        return unet

    def answer(unet):
        times = {"text_embeds": torch.ones(1, 32), "time_ids": torch.ones(1, 6)}
        ones = (torch.ones(1, 4, 8, 8), torch.ones(1), torch.ones(1, 77, 64))
        with torch.no_grad():
            return unet(*ones, added_cond_kwargs=times).sample

    plain, quick = with_loras(), with_loras()
    switch, compiled_switch = LoraSwitch([plain], ["a", "b"]), CompiledLoraSwitch([quick], ["a", "b"])
    quick.compile_repeated_blocks(dynamic=True)
    answer(quick)
    before = graphs[GRAPHS]
    answers = []
    for weights in ((), (("a", 1.0),), (("a", 0.5), ("b", -2.0)), (("b", 1.0),), ()):
        switch.to(weights)
        compiled_switch.to(weights)
        answers.append(answer(plain))
        assert torch.allclose(answers[-1], answer(quick), atol=1e-5), weights

    assert graphs[GRAPHS] == before > 0
    assert not torch.allclose(answers[0], answers[1], atol=1e-3)
    assert torch.equal(answers[0], answers[-1])
