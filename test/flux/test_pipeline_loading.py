"""Loading finds out what a model is, and says in words what is wrong with it."""

import ctypes
import gc
import json
import re
import shutil
from pathlib import Path

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError

pytest.importorskip("torch", reason="the packages of the group flux are not installed here")


@pytest.fixture
def copied(tiny_models, tmp_path):
    """A folder of models with a copy of tiny FLUX that may be broken."""
    shutil.copytree(tiny_models / "flux", tmp_path / "flux")
    return tmp_path


def refused(words):
    return pytest.raises(PipelineRefusedError, match=words)


def loaded(folder, **options):
    from runtimes.flux.server.pipeline.loading import load

    return load(ModelOptions.model_validate({"source": "flux", "dtype": "float32"} | options), str(folder), 0)


def renamed_class(folder, name):
    index = folder / "flux" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"_class_name": name}))


def test_the_family_is_found_in_the_files(tiny_models):
    assert {name: loaded(tiny_models, source=name).card.family for name in ("flux-schnell", "flux-fill", "sdxl")} == {
        "flux-schnell": "flux",
        "flux-fill": "flux-fill",
        "sdxl": "sdxl",
    }


def test_a_profiles_defaults_are_on_the_card(tiny_models):
    card = loaded(tiny_models, source="flux-schnell", profile="flux-schnell").card

    assert (card.steps, card.guidance, card.max_sequence_length) == (4, 0, 256)


def test_a_profile_of_another_family_is_refused(tiny_models):
    with refused("profile sdxl is of the family sdxl, but flux is a FluxPipeline"):
        loaded(tiny_models, profile="sdxl")


def test_a_class_that_nobody_knows_is_named_beside_those_that_are_known(copied):
    renamed_class(copied, "StableCascadeDecoderPipeline")

    with pytest.raises(
        PipelineRefusedError, match=r"flux is a StableCascadeDecoderPipeline, .* known are FluxPipeline, "
    ):
        loaded(copied)


def test_a_folder_saved_by_a_sibling_class_is_of_the_same_family(copied):
    renamed_class(copied, "FluxInpaintPipeline")

    assert loaded(copied).card.family == "flux"


def test_a_missing_part_is_named(copied):
    shutil.rmtree(copied / "flux" / "text_encoder_2")

    with refused("part text_encoder_2 of flux is missing"):
        loaded(copied)


def test_a_tokenizer_without_words_is_refused(copied):
    for file in (copied / "flux" / "tokenizer_2").iterdir():
        file.unlink()

    with refused("part tokenizer_2 of flux is missing"):
        loaded(copied)


def test_a_part_of_a_library_that_is_not_known_is_refused(copied):
    index = copied / "flux" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"vae": ["its_own_code", "Autoencoder"]}))

    with pytest.raises(
        PipelineRefusedError, match="part vae of flux is a Autoencoder of its_own_code, which is not known"
    ):
        loaded(copied)


def test_a_broken_configuration_is_refused(copied):
    (copied / "flux" / "scheduler" / "scheduler_config.json").unlink()

    with refused("flux cannot be put together"):
        loaded(copied)


def test_weights_that_were_cut_off_are_refused(copied):
    weights = copied / "flux" / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])

    with refused("part transformer of flux cannot be read"):
        loaded(copied)


def test_a_folder_without_an_index_is_refused(tmp_path):
    (tmp_path / "flux").mkdir()

    with refused(r"flux in the folder of models has no model_index\.json"):
        loaded(tmp_path)


def test_an_index_that_is_no_json_is_refused(copied):
    (copied / "flux" / "model_index.json").write_text("{")

    with refused(r"model_index\.json of flux cannot be read"):
        loaded(copied)


def test_a_single_file_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")

    with pytest.raises(
        PipelineRefusedError, match=r"model\.safetensors is a file; .* a folder in the format of diffusers"
    ):
        loaded(tmp_path, source="model.safetensors")


def test_a_model_that_is_nowhere_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(
        PipelineRefusedError, match=r"nobody/nothing is no folder in .*, and the Hugging Face hub does not"
    ):
        loaded(tmp_path, source="nobody/nothing")


@pytest.mark.parametrize("options", [{"quantization": "4bit"}, {"quantization": "8bit"}, {"offload": "model"}])
def test_what_needs_a_gpu_is_refused_without_one(tiny_models, options):
    [(name, value)] = options.items()

    with refused(f"{name} {value} needs a GPU, and there is none here"):
        loaded(tiny_models, **options)


def test_float16_is_refused_for_files_of_a_family_that_overflows_in_it(tiny_models):
    with pytest.raises(
        PipelineRefusedError, match=r"dtype must not be float16 for models of the family flux: .* bfloat16"
    ):
        loaded(tiny_models, dtype="float16")


def test_a_gpu_without_bfloat16_is_named_with_what_to_take_instead(monkeypatch):
    import torch

    from runtimes.flux.server.pipeline.device import ModelDevice

    monkeypatch.setattr(ModelDevice, "is_gpu", True)
    monkeypatch.setattr("torch.cuda.Stream", lambda _device: None)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: including_emulation)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _device: "Tesla T4")

    with pytest.raises(
        PipelineRefusedError, match=r"Tesla T4 cannot compute in bfloat16\. Take a GPU of compute capability 8"
    ):
        ModelDevice(torch.device("cuda", 0)).check(ModelOptions(source="flux"))


@pytest.mark.parametrize(
    ("bits", "name", "expected"),
    [
        ("8bit", "transformer", {"load_in_8bit": True, "load_in_4bit": False}),
        ("4bit", "transformer", {"load_in_8bit": False, "load_in_4bit": True}),
        ("4bit", "text_encoder_2", {"load_in_8bit": False, "load_in_4bit": True}),
        ("4bit", "vae", None),
        ("none", "transformer", None),
    ],
)
def test_denoiser_and_text_encoders_are_quantized_and_nothing_else(bits, name, expected):
    from diffusers import AutoencoderKL, FluxTransformer2DModel
    from transformers import T5EncoderModel

    from runtimes.flux.server.pipeline.parts import _quantized as quantized

    made = {"transformer": FluxTransformer2DModel, "text_encoder_2": T5EncoderModel, "vae": AutoencoderKL}[name]
    arguments = quantized(made, name, ModelOptions.model_validate({"source": "flux", "quantization": bits}))

    if expected is None:
        assert arguments == {}
    else:
        config = arguments["quantization_config"]
        assert {key: getattr(config, key) for key in expected} == expected
        assert type(config).__module__.startswith("transformers" if name == "text_encoder_2" else "diffusers")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from Linux")
def test_main_memory_holds_at_most_one_part_twice(tiny_models):
    """Two parts of 64 MB: both of them once, as there is no GPU, and one a second time while it is read."""
    import torch
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
    model = loaded(tiny_models, source="wide")
    peak = memory("VmHWM") - before
    shutil.rmtree(tiny_models / "wide")

    assert model.device().host_peak_bytes > peak
    assert 2 * part < peak < 3.3 * part


def memory(line):
    """Bytes that the process has, or has had at most since that was reset."""
    found = re.search(rf"{line}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found.group(1)) * 1024
