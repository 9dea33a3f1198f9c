"""Reading of LoRAs, once, beside the model."""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of

from runtimes.flux.options import Lora
from runtimes.flux.server.pipeline.switching import adapter_name
from runtimes.flux.server.ports import RefusedError


def read_loras(pipe: DiffusionPipeline, loras: Sequence[Lora], models_folder: str, dtype: torch.dtype) -> None:
    """Read LoRAs into a model.

    Args:
        pipe: The model.
        loras: Which.
        models_folder: Where the model bucket is mounted; their files lie in it.
        dtype: Of the numbers that the model computes with.

    Raises:
        RefusedError: One is not there, or does not fit.
    """
    for position, lora in enumerate(loras):
        file = Path(models_folder, lora.source)
        if not file.is_file():
            raise RefusedError(f"LoRA {lora.name}: there is no file {lora.source} in the folder of models")
        adapter = adapter_name(position)
        try:
            weights = {name: _as(tensor, dtype) for name, tensor in tensors_of(file.read_bytes()).items()}
            pipe.load_lora_weights(weights, adapter_name=adapter)
        except (SafetensorError, ValueError, KeyError, RuntimeError) as exc:
            reason = str(exc).strip().partition("\n")[0]
            raise RefusedError(f"LoRA {lora.name}: {lora.source} does not fit to this model: {reason}") from exc
        # Weights of another kind of model are passed over in silence.
        if not any(adapter in getattr(part, "peft_config", {}) for part in pipe.components.values()):
            raise RefusedError(f"LoRA {lora.name}: nothing in {lora.source} fits to this model")


def _as(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Bring a matrix to the model's numbers; single numbers, as alpha, stay exact."""
    return tensor.to(dtype) if tensor.dim() > 1 else tensor
