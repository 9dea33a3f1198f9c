"""A loaded model that implements the server's interface."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from threading import Lock

import torch
from diffusers import DiffusionPipeline
from PIL import Image

from runtimes.flux.families import INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server.pipeline.device import ModelDevice
from runtimes.flux.server.pipeline.drawing import drawn
from runtimes.flux.server.pipeline.lora_adapters import CompiledLoraSwitch, LoraSwitch
from runtimes.flux.server.pipeline.memory import DeviceMemory
from runtimes.flux.server.pipeline.prompts import Prompts, cuts
from runtimes.flux.server.pipeline.recipes import Recipe
from runtimes.flux.server.ports import DeviceStatus, DrawingWatch, GenerationRequest

_WARMUP_STEPS = 2
_MAX_COMPILED_VARIANTS = 64
"""Per block: variants for one or several pictures, first or later ones, and different strides. Beyond torch's own
limit of 8, further variants silently stay uncompiled."""


class LoadedModel:
    """An ImagePipeline. Memory holds its parts once; each task type has a diffusers class around them."""

    def __init__(self, options: ModelOptions, recipe: Recipe, pipe: DiffusionPipeline, device: ModelDevice) -> None:
        self.card = card_of(options, recipe.family)
        self._recipe = recipe
        self._pipe = pipe
        self._device = device
        self._by_task: Mapping[str, DiffusionPipeline] = {
            task: pipe if isinstance(pipe, made) else made(**pipe.components) for task, made in recipe.classes.items()
        }
        for each in (pipe, *self._by_task.values()):
            each.set_progress_bar_config(disable=True)
        self._memory = DeviceMemory(device)
        names = [lora.name for lora in options.loras]
        encoders = [part for name, part in pipe.components.items() if name.startswith("text_encoder")]
        self._denoiser_loras = (CompiledLoraSwitch if options.compile else LoraSwitch)([_denoiser_of(pipe)], names)
        self._encoder_loras = LoraSwitch(encoders, names)
        # Two threads cannot use offloaded parts at once.
        self._turn = nullcontext() if options.offload == "none" else Lock()

    def warm_up(self) -> None:
        """Draw one picture, then two, and measure their memory; without a GPU, draw small ones."""

        def draw(count: int) -> None:
            request = self._warmup_request(count)
            self.draw([request], self.encode([request]), DrawingWatch())

        self._memory.measure(draw, self.card.row.size**2)

    def encode(self, requests: Sequence[GenerationRequest]) -> list[Prompts]:
        """Encode the prompts of a batch, each alone; on a GPU, this can run during ``draw``."""

        def encoded() -> list[Prompts]:
            with self._turn, self._device.background():
                self._encoder_loras.to(requests[0].loras)
                return [self._recipe.encode(self._pipe, request) for request in requests]

        return self._device.run(encoded)

    def warnings(self, request: GenerationRequest) -> list[str]:
        """Sentences about texts that are longer than the model reads."""
        tokenizer = getattr(self._pipe, self._recipe.tokenizer, None) if self._recipe.tokenizer else None
        return cuts(tokenizer, request) if tokenizer else []

    def draw(
        self, requests: Sequence[GenerationRequest], encoded: list[Prompts], watch: DrawingWatch
    ) -> list[list[Image.Image]]:
        """Denoise and decode a batch; raises PipelineRefusedError for pictures that cannot fit into memory."""

        def pictures() -> list[list[Image.Image]]:
            with self._turn, self._device.foreground():
                self._device.keep(tensor for prompts in encoded for tensor in prompts.values())
                self._denoiser_loras.to(requests[0].loras)
                try:
                    return drawn(self._recipe, self._by_task[requests[0].task_type], requests, encoded, watch)
                finally:
                    self._pipe.maybe_free_model_hooks()

        self._memory.refuse_what_cannot_fit(*requests[0].size)
        return self._device.run(pictures)

    def device(self) -> DeviceStatus:
        """The device, its memory use and its room."""
        return self._memory.status()

    def _warmup_request(self, count: int) -> GenerationRequest:
        """Make a valid request: of the model's size on a GPU, otherwise as small as possible."""
        family = self.card.row
        side = family.size if self._device.is_gpu else 4 * family.size_multiple
        task_type = family.task_types[0]
        return GenerationRequest(
            job_id="warmup",
            task_type=task_type,
            prompt="a trial",
            seeds=tuple(range(count)),
            width=side,
            height=side,
            steps=_WARMUP_STEPS,
            guidance=self.card.guidance,
            sequence_length=self.card.sequence_length,
            images=() if task_type == TEXT_TO_IMAGE else (Image.new("RGB", (side, side)),),
            mask=Image.new("L", (side, side), 255) if task_type == INPAINTING else None,
        )


def compile_denoiser(pipe: DiffusionPipeline) -> None:
    """Compile the denoiser at its first run, for all sizes and batches; repeated blocks are compiled once.

    Torch keeps the result in the folder TORCHINDUCTOR_CACHE_DIR.
    """
    torch._dynamo.config.recompile_limit = _MAX_COMPILED_VARIANTS
    denoiser = _denoiser_of(pipe)
    if getattr(denoiser, "_repeated_blocks", None):
        denoiser.compile_repeated_blocks(dynamic=True)
    else:
        denoiser.compile(dynamic=True)


def _denoiser_of(pipe: DiffusionPipeline) -> torch.nn.Module:
    """The part that does nearly all the work."""
    part: torch.nn.Module = pipe.components.get("transformer") or pipe.components["unet"]
    return part
