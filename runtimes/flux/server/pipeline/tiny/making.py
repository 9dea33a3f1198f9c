"""Writes tiny models and a LoRA to folders, in the format of diffusers; the same ones each time."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from runtimes.flux.server.pipeline.still import StillProcessor
from runtimes.flux.server.pipeline.tiny.families import TINY

_SEED = 20
_LORA_RANK = 4
_LORA_STRENGTH = 0.2


def make_model(name: str, folder: Path) -> Path:
    """Write one model.

    Args:
        name: One of ``TINY``.
        folder: Where its folder is made, by its name.

    Returns:
        Its folder.
    """
    torch.manual_seed(_SEED)
    target = folder / name
    TINY[name]().save_pretrained(target, safe_serialization=True)
    _name_as_the_hub_does(target / "model_index.json")
    return target


def _name_as_the_hub_does(index: Path) -> None:
    """Name the original class where our own one made the files."""
    parts = json.loads(index.read_text())
    if parts.get("processor") == [StillProcessor.__module__, StillProcessor.__name__]:
        parts["processor"] = ["transformers", "Qwen2VLProcessor"]
        index.write_text(json.dumps(parts, indent=2, sort_keys=True))


def make_lora(file: Path, seed: int = _SEED) -> Path:
    """Write a LoRA for tiny FLUX that changes the picture visibly.

    Args:
        file: Where; ends in .safetensors.
        seed: Of its weights; another one makes another LoRA.
    """
    torch.manual_seed(seed)
    weights = {}
    for name, module in TINY["flux"]().transformer.named_modules():
        if isinstance(module, torch.nn.Linear) and name.endswith(("attn.to_q", "attn.to_v", "proj_mlp")):
            down = torch.randn(_LORA_RANK, module.in_features)
            up = torch.randn(module.out_features, _LORA_RANK)
            weights[f"transformer.{name}.lora_A.weight"] = down * _LORA_STRENGTH
            weights[f"transformer.{name}.lora_B.weight"] = up * _LORA_STRENGTH
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, file)
    return file
