"""LoRAs are read once, with the model, and switched by weight between batches."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from diffusers.utils.peft_utils import set_adapter_layers, set_weights_and_activate_adapters
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of

from runtimes.flux.options import Lora
from runtimes.flux.server.errors import PipelineRefusedError

LoraWeights = tuple[tuple[str, float], ...]
"""Names and weights of active LoRAs."""


def read_loras(pipe: DiffusionPipeline, loras: Sequence[Lora], models_folder: str, dtype: torch.dtype) -> None:
    """Read LoRAs from the folder of models into a model that computes in ``dtype``.

    Raises:
        PipelineRefusedError: A LoRA is missing, or does not fit the model.
    """
    for position, lora in enumerate(loras):
        file = Path(models_folder, lora.source)
        if not file.is_file():
            raise PipelineRefusedError(f"LoRA {lora.name}: there is no file {lora.source} in the folder of models")
        adapter = _adapter_name(position)
        try:
            # Matrices get the model's dtype; scalars, such as alpha, stay exact.
            weights = {
                name: tensor.to(dtype) if tensor.dim() > 1 else tensor
                for name, tensor in tensors_of(file.read_bytes()).items()
            }
            pipe.load_lora_weights(weights, adapter_name=adapter)
        except (SafetensorError, ValueError, KeyError, RuntimeError) as exc:
            reason = str(exc).strip().partition("\n")[0]
            raise PipelineRefusedError(f"LoRA {lora.name}: {lora.source} does not fit this model: {reason}") from exc
        # Diffusers silently ignores weights for another kind of model.
        if not any(adapter in getattr(part, "peft_config", {}) for part in pipe.components.values()):
            raise PipelineRefusedError(f"LoRA {lora.name}: nothing in {lora.source} fits this model")


def _adapter_name(position: int) -> str:
    """The internal name of a LoRA; a configured name could clash with an attribute of torch's modules."""
    return f"lora{position}"


class LoraSwitch:
    """Switches the LoRAs of some parts of a model. With all of them off, a part computes exactly as if it had none.

    The denoiser and the text encoders have separate switches, so that the next batch can be encoded with other LoRAs
    than this one is denoised with. ``names`` are the LoRAs' names, in the order of the configuration.
    """

    def __init__(self, parts: Sequence[torch.nn.Module], names: Sequence[str]) -> None:
        self._parts = [part for part in parts if getattr(part, "peft_config", None)]
        self._adapters = {name: _adapter_name(position) for position, name in enumerate(names)}
        self._on: LoraWeights | None = None

    def to(self, weights: LoraWeights) -> None:
        """Turn these LoRAs on and all others off."""
        if weights == self._on:
            return
        by_adapter = {self._adapters[name]: weight for name, weight in weights}
        for part in self._parts:
            self._switch(part, by_adapter)
        self._on = weights

    def _switch(self, part: torch.nn.Module, weights: Mapping[str, float]) -> None:
        there = {adapter: weight for adapter, weight in weights.items() if adapter in part.peft_config}
        set_adapter_layers(part, enabled=bool(there))
        if there:
            set_weights_and_activate_adapters(part, list(there), list(there.values()))


class CompiledLoraSwitch(LoraSwitch):
    """A switch for compiled parts: all LoRAs stay on, and their weights are tensors that it overwrites.

    Otherwise torch would compile each combination of weights. A weight of 0 adds nothing, but is still computed.
    """

    def __init__(self, parts: Sequence[torch.nn.Module], names: Sequence[str]) -> None:
        super().__init__(parts, names)
        self._scales = [scale for part in self._parts for scale in _scales_as_tensors(part)]

    def _switch(self, part: torch.nn.Module, weights: Mapping[str, float]) -> None:  # noqa: ARG002
        for adapter, full, scale in self._scales:
            scale.fill_(full * weights.get(adapter, 0))


def _scales_as_tensors(part: torch.nn.Module) -> list[tuple[str, float, torch.Tensor]]:
    """Turn all LoRAs on; return, for each layer's LoRA, its name, its scale at weight 1, and its scale's tensor."""
    adapters = list(part.peft_config)
    set_adapter_layers(part, enabled=True)
    set_weights_and_activate_adapters(part, adapters, [1.0] * len(adapters))
    scales = []
    for layer in part.modules():
        if isinstance(layer, LoraLayer):
            for adapter, full in layer.scaling.items():
                layer.scaling[adapter] = torch.tensor(full, device=layer.lora_A[adapter].weight.device)
                scales.append((adapter, full, layer.scaling[adapter]))
    return scales
