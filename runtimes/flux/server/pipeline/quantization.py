"""Weights in fewer bits, by bitsandbytes, while they are read."""

from typing import Any

import torch
from diffusers import BitsAndBytesConfig as DiffusersConfig
from diffusers import ModelMixin
from transformers import BitsAndBytesConfig as TransformersConfig

from runtimes.flux.options import ModelOptions

_KEPT = ("vae", "image_encoder")
"""Small parts that lose more than they save."""


def quantized(made: type, name: str, options: ModelOptions) -> dict[str, Any]:
    """Arguments that have a part quantized while it is read.

    Args:
        made: Its class, of diffusers or transformers.
        name: Its name in the model.
        options: The model's; quantization says how many bits.
    """
    if options.quantization == "none" or name in _KEPT:
        return {}
    config = DiffusersConfig if issubclass(made, ModelMixin) else TransformersConfig
    if options.quantization == "8bit":
        return {"quantization_config": config(load_in_8bit=True)}
    dtype = getattr(torch, options.dtype)
    return {"quantization_config": config(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)}
