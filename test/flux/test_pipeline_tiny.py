"""Tiny models are made from nothing, the same ones each time."""

import pytest

from runtimes.flux.families import FAMILIES
from runtimes.flux.profiles import PROFILES

pytest.importorskip("torch", reason="the packages of the group flux are not installed here")


def test_there_is_one_for_each_family_and_none_has_ten_megabytes(tiny_models):
    sizes = {
        family: sum(file.stat().st_size for file in (tiny_models / family).rglob("*") if file.is_file())
        for family in FAMILIES
    }

    assert all(0 < size < 10 * 10**6 for size in sizes.values())


def test_the_command_makes_the_same_model_again(tiny_models, tmp_path, monkeypatch):
    from runtimes.flux.standin.tiny import main

    monkeypatch.setattr("sys.argv", ["tiny", str(tmp_path), "--family", "flux"])

    main()

    again = {file.relative_to(tmp_path): file.read_bytes() for file in tmp_path.rglob("*.safetensors")}
    assert len(again) == len(("transformer", "vae", "text_encoder", "text_encoder_2", "Lora"))
    assert again == {file: (tiny_models / file).read_bytes() for file in again}


def test_a_folder_names_the_classes_that_the_real_ones_name(tiny_models):
    index = (tiny_models / "qwen-image-edit" / "model_index.json").read_text()

    assert "Qwen2VLProcessor" in index
    assert "TextAndImageProcessor" not in index


def test_the_full_shape_has_as_many_parameters_as_the_profile_says():
    import torch

    from runtimes.flux.standin.full_shape import full_flux

    pipe = full_flux(torch.device("meta"), torch.bfloat16)

    def parameters(part):
        return sum(parameter.numel() for parameter in getattr(pipe, part).parameters())

    profile = PROFILES["flux-schnell"]
    assert parameters("transformer") == pytest.approx(profile.denoiser_parameters, rel=0.01)
    assert (parameters("text_encoder_2"), parameters("text_encoder")) == pytest.approx(
        profile.encoder_parameters, rel=0.03
    )
    assert pipe.transformer.dtype == pipe.text_encoder_2.dtype == torch.bfloat16
    assert torch.get_default_dtype() == torch.float32
