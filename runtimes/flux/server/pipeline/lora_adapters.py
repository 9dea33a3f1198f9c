"""LoRAs: read once, beside the model, and switched by weight between batches."""

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
"""LoRAs that take part, by name, with their weights."""


def read_loras(pipe: DiffusionPipeline, loras: Sequence[Lora], models_folder: str, dtype: torch.dtype) -> None:
    """Read LoRAs, whose files are in the folder of models, into a model that computes in a dtype.

    Raises:
        PipelineRefusedError: One is missing, or does not fit.
    """
    for position, lora in enumerate(loras):
        file = Path(models_folder, lora.source)
        if not file.is_file():
            raise PipelineRefusedError(f"LoRA {lora.name}: there is no file {lora.source} in the folder of models")
        adapter = _adapter_name(position)
        try:
            # Matrices get the model's dtype; single numbers, such as alpha, stay exact.
            weights = {
                name: tensor.to(dtype) if tensor.dim() > 1 else tensor
                for name, tensor in tensors_of(file.read_bytes()).items()
            }
            pipe.load_lora_weights(weights, adapter_name=adapter)
        except (SafetensorError, ValueError, KeyError, RuntimeError) as exc:
            reason = str(exc).strip().partition("\n")[0]
            raise PipelineRefusedError(f"LoRA {lora.name}: {lora.source} does not fit to this model: {reason}") from exc
        # Weights of another kind of model are passed over in silence.
        if not any(adapter in getattr(part, "peft_config", {}) for part in pipe.components.values()):
            raise PipelineRefusedError(f"LoRA {lora.name}: nothing in {lora.source} fits to this model")


def _adapter_name(position: int) -> str:
    """What a LoRA of a position is called inside; names of the configuration may be attributes of torch's modules."""
    return f"lora{position}"


class LoraSwitch:
    """The LoRAs of some of a model's parts. With none of them on, a part computes as if it had none, to the bit.

    Denoiser and text encoders have one each, so that the next batch can be encoded with other LoRAs than this one is
    denoised with. ``names`` are the LoRAs' names, in the order of the configuration.
    """

    def __init__(self, parts: Sequence[torch.nn.Module], names: Sequence[str]) -> None:
        self._parts = [part for part in parts if getattr(part, "peft_config", None)]
        self._adapters = {name: _adapter_name(position) for position, name in enumerate(names)}
        self._on: LoraWeights | None = None

    def to(self, weights: LoraWeights) -> None:
        """Switch these LoRAs on, and all others off."""
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
    """The same for a compiled part: all LoRAs always take part, and their weights are tensors that are filled.

    Else each combination of weights would be compiled for itself. Weights of 0 add nothing, but cost their computation.
    """

    def __init__(self, parts: Sequence[torch.nn.Module], names: Sequence[str]) -> None:
        super().__init__(parts, names)
        self._scales = [scale for part in self._parts for scale in _scales_as_tensors(part)]

    def _switch(self, part: torch.nn.Module, weights: Mapping[str, float]) -> None:  # noqa: ARG002
        for adapter, full, scale in self._scales:
            scale.fill_(full * weights.get(adapter, 0))


def _scales_as_tensors(part: torch.nn.Module) -> list[tuple[str, float, torch.Tensor]]:
    """Switch all LoRAs on; gives each layer's LoRA with its scale at weight 1 and the tensor that holds it now."""
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
