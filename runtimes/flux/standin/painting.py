"""A pipeline for the FLUX server that paints scenes: PIPELINE=runtimes.flux.standin.painting:load.

STANDIN_STEP_SECONDS is the duration of a step (default 0.05). STANDIN_FAULTS is a file of faults; see faults.py.
"""

import os
import time
from collections.abc import Sequence

from PIL import Image

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import ModelCard, ModelOptions, card_of
from runtimes.flux.server.errors import PipelineRefusedError, PipelineStoppedError
from runtimes.flux.server.ports import DeviceStatus, DrawingWatch, GenerationRequest
from runtimes.flux.standin.faults import PipelineFaults
from runtimes.standin.faults import LOOK_S
from runtimes.standin.painter import Brief, blend, paint, unfinished

_MAX_PIXELS = 16 * 8192 * 8192
_EDITED = 0.6
_PREVIEWED = 0.3


class PaintingPipeline:
    """Paints each request alone, so that a picture never depends on its neighbours.

    Attributes:
        card: The card of the options' profile.
    """

    def __init__(self, card: ModelCard, device: int, step_s: float) -> None:
        self.card = card
        self._device = device
        self._step_s = step_s

    def warm_up(self) -> None:
        """Do nothing."""

    def encode(self, requests: Sequence[GenerationRequest]) -> list[Brief]:
        """Turn prompts into briefs for the painter."""
        time.sleep(PipelineFaults.read().encode_seconds)
        return [
            Brief(
                prompt=request.prompt,
                negative=request.negative_prompt or "",
                seed=seed,
                width=request.width,
                height=request.height,
                checkpoint="+".join(name for name, _ in request.loras),
            )
            for request in requests
            for seed in request.seeds
        ]

    def warnings(self, request: GenerationRequest) -> list[str]:  # noqa: ARG002 (the port's)
        """Return no warnings, because it reads prompts whole."""
        return []

    def draw(
        self, requests: Sequence[GenerationRequest], encoded: list[Brief], watch: DrawingWatch
    ) -> list[list[Image.Image]]:
        """Wait for the time of the steps, then paint."""
        faults, steps = PipelineFaults.read(), requests[0].steps
        prompts = [brief.prompt for brief in encoded]
        briefs = iter(encoded)
        for step in range(1, steps + 1):
            while PipelineFaults.read().holds(step, prompts) and watch.wanted():
                watch.stepped(step - 1, steps)
                time.sleep(LOOK_S)
            time.sleep(self._step_s)
            faults.meet(step, prompts)
            watch.stepped(step, steps)
            if not watch.wanted():
                raise PipelineStoppedError
            if step == 1 and requests[0].preview:
                watch.previewed(unfinished(_painted(requests[0], encoded[0]), _PREVIEWED))
        return [[_painted(request, next(briefs)) for _ in request.seeds] for request in requests]

    def device(self) -> DeviceStatus:
        """A device without its own memory, with room for any request."""
        return DeviceStatus(
            name=f"painter:{self._device}", memory_bytes=0, peak_bytes=0, host_peak_bytes=0, max_pixels=_MAX_PIXELS
        )


def load(options: ModelOptions, models: str, device: int) -> PaintingPipeline:  # noqa: ARG001 (a Loader's)
    """Make a painting pipeline for the options' profile; without a profile, it is FLUX."""
    faults = PipelineFaults.read()
    time.sleep(faults.load_seconds)
    if faults.refuse:
        raise PipelineRefusedError(faults.refuse)
    known = options.known
    family = known.family if known and known.family else FAMILIES["flux"]
    return PaintingPipeline(card_of(options, family), device, float(os.environ.get("STANDIN_STEP_SECONDS") or 0.05))


def _painted(request: GenerationRequest, brief: Brief) -> Image.Image:
    drawn = paint(brief)
    if not request.images:
        return drawn
    given = request.images[0]
    changed = blend(given, drawn, _EDITED if request.task_type == "edit" else request.strength)
    return Image.composite(changed, given, request.mask) if request.mask else changed
