"""Loading recognizes a model, and explains what is wrong with it. A command makes tiny models."""

import ctypes
import gc
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import ModelOptions
from runtimes.flux.profiles import PROFILES
from runtimes.flux.server.errors import PipelineRefusedError


@pytest.fixture
def copied(tiny_models, tmp_path):
    """A folder of models with a copy of tiny FLUX, for a test to break."""
    shutil.copytree(tiny_models / "flux", tmp_path / "flux")
    return tmp_path


def refused(words):
    return pytest.raises(PipelineRefusedError, match=words)


def index_says(folder, **values):
    index = folder / "flux" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | values))


def test_the_files_determine_the_family_and_the_card_has_the_defaults_of_the_profile(copied, load_model):
    assert [load_model(source=name).card.family for name in ("flux-fill", "sdxl")] == ["flux-fill", "sdxl"]
    card = load_model(source="flux-schnell", profile="flux-schnell").card
    assert (card.family, card.steps, card.guidance, card.max_sequence_length) == ("flux", 4, 0, 256)
    index_says(copied, _class_name="FluxInpaintPipeline")
    assert load_model(copied).card.family == "flux", "saved by a sibling class"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"profile": "sdxl"}, "profile sdxl is of the family sdxl, but flux is a FluxPipeline"),
        ({"dtype": "float16"}, r"dtype must not be float16 for models of the family flux: .* bfloat16"),
        *(
            ({name: value}, f"{name} {value} needs a GPU, and there is none here")
            for name, value in (("quantization", "4bit"), ("quantization", "8bit"), ("offload", "model"))
        ),
        ({"source": "nobody/nothing"}, r"nobody/nothing is no folder in .*, and the Hugging Face hub does not"),
        ({"source": "sdxl/model_index.json"}, r"model_index\.json is a file; .* a folder in the format of diffusers"),
        ({"source": "Lora"}, r"Lora in the folder of models has no model_index\.json"),
    ],
)
def test_options_that_the_model_or_the_device_does_not_support_are_refused(load_model, monkeypatch, options, reason):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with refused(reason):
        load_model(**options)


def cut_off(folder):
    weights = folder / "flux" / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


BROKEN = {
    r"flux is a StableCascadeDecoderPipeline, .* known are FluxPipeline, ": lambda folder: index_says(
        folder, _class_name="StableCascadeDecoderPipeline"
    ),
    "part vae of flux is a Autoencoder of its_own_code, which is not known": lambda folder: index_says(
        folder, vae=["its_own_code", "Autoencoder"]
    ),
    "part text_encoder_2 of flux is missing": lambda folder: shutil.rmtree(folder / "flux" / "text_encoder_2"),
    "part tokenizer_2 of flux is missing": lambda folder: [
        file.unlink() for file in (folder / "flux" / "tokenizer_2").iterdir()
    ],
    "flux cannot be put together": lambda folder: (folder / "flux/scheduler/scheduler_config.json").unlink(),
    "part transformer of flux cannot be read": cut_off,
    r"model_index\.json of flux cannot be read": lambda folder: (folder / "flux/model_index.json").write_text("{"),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_folder_is_refused_with_the_reason(copied, load_model, reason):
    BROKEN[reason](copied)
    with refused(reason):
        load_model(copied)


def test_the_error_for_a_gpu_without_bfloat16_names_it_and_alternatives(monkeypatch):
    from runtimes.flux.server.pipeline.device import ModelDevice

    monkeypatch.setattr(ModelDevice, "is_gpu", True)
    monkeypatch.setattr("torch.cuda.Stream", lambda _device: None)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: including_emulation)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _device: "Tesla T4")

    with refused(r"Tesla T4 cannot compute in bfloat16\. Take a GPU of compute capability 8"):
        ModelDevice(torch.device("cuda", 0)).check(ModelOptions(source="flux"))


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_only_denoiser_and_text_encoders_are_quantized(bits):
    from diffusers import AutoencoderKL, FluxTransformer2DModel
    from transformers import T5EncoderModel

    from runtimes.flux.server.pipeline.parts import quantized

    options = ModelOptions(source="flux", quantization=bits)
    assert quantized(AutoencoderKL, "vae", options) == {}
    assert quantized(T5EncoderModel, "text_encoder_2", ModelOptions(source="flux")) == {}
    for made, name in ((FluxTransformer2DModel, "transformer"), (T5EncoderModel, "text_encoder_2")):
        config = quantized(made, name, options)["quantization_config"]
        assert config.to_dict()[f"load_in_{bits}"] is True
        assert type(config).__module__.split(".")[0] == made.__module__.split(".")[0]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from Linux")
def test_main_memory_holds_a_second_copy_of_at_most_one_part(tiny_models, load_model):
    """Two parts of 64 MB: memory holds both, as there is no GPU, and a second copy of one while it is read."""
    from diffusers import DiffusionPipeline, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    part = 64 * 1024 * 1024
    pipe = DiffusionPipeline.from_pretrained(tiny_models / "flux")
    encoder, denoiser = pipe.text_encoder_2.config.to_dict(), dict(pipe.transformer.config)
    rows = part // (pipe.text_encoder_2.config.d_model * torch.float32.itemsize)
    pipe.register_modules(
        text_encoder_2=T5EncoderModel(T5Config(**encoder | {"vocab_size": rows})),
        transformer=FluxTransformer2DModel.from_config(denoiser | {"pooled_projection_dim": rows}),
    )
    pipe.save_pretrained(tiny_models / "wide")
    del pipe
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)

    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    model = load_model(source="wide")
    peak = memory("VmHWM") - before
    shutil.rmtree(tiny_models / "wide")

    assert model.device().host_peak_bytes > peak
    assert 2 * part < peak < 3.3 * part


def memory(line):
    """The process's current memory, or its peak since the last reset, in bytes."""
    found = re.search(rf"{line}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024


def test_the_command_always_makes_the_same_small_models_of_the_real_classes(tiny_models, tmp_path, monkeypatch):
    from runtimes.flux.standin.tiny import main

    monkeypatch.setattr("sys.argv", ["tiny", str(tmp_path), "--family", "flux"])
    main()
    again = {file.relative_to(tmp_path): file.read_bytes() for file in tmp_path.rglob("*.safetensors")}
    assert again == {file: (tiny_models / file).read_bytes() for file in again}
    assert len(again) == len(("transformer", "vae", "text_encoder", "text_encoder_2", "Lora"))
    sizes = [sum(file.stat().st_size for file in (tiny_models / name).rglob("*")) for name in FAMILIES]
    assert max(sizes) < 10 * 10**6


def test_the_full_shape_has_the_number_of_parameters_in_the_profile():
    from runtimes.flux.standin.full_shape import full_flux

    pipe = full_flux(torch.device("meta"), torch.bfloat16)
    parts = (pipe.transformer, pipe.text_encoder_2, pipe.text_encoder)
    counts = [sum(parameter.numel() for parameter in part.parameters()) for part in parts]

    profile = PROFILES["flux-schnell"]
    assert counts == pytest.approx([profile.denoiser_parameters, *profile.encoder_parameters], rel=0.03)
    assert {part.dtype for part in parts} == {torch.bfloat16}
    assert torch.get_default_dtype() == torch.float32
