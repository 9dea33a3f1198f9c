"""After each step: reports progress, stops a cancelled batch, takes a preview."""

import math
from collections.abc import Callable
from typing import Any

import torch
from diffusers import DiffusionPipeline, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

from runtimes.flux.server.errors import PipelineStoppedError
from runtimes.flux.server.ports import DrawingWatch

PREVIEW_SHARE = 0.2
"""Share of the steps before the preview; earlier, there is little to see."""
_STRAIGHT = (FlowMatchEulerDiscreteScheduler, EulerDiscreteScheduler)
"""Schedulers whose steps go straight to the picture that the denoiser predicts."""


class StepCallback:
    """Diffusers calls this after each step of a batch; ``show``, if given, gets the latents of one preview."""

    def __init__(self, watch: DrawingWatch, show: Callable[[torch.Tensor], None] | None) -> None:
        self._watch = watch
        self._show = show
        self._last: torch.cuda.Event | None = None
        self._before: torch.Tensor | None = None

    def __call__(self, pipe: DiffusionPipeline, step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Report the step, take the preview if it is time; raises PipelineStoppedError if the batch was cancelled."""
        latents: torch.Tensor = tensors["latents"]
        done = step + 1 - self._in_flight(latents.device)
        if done:
            self._watch.stepped(done, pipe.num_timesteps)
        if not self._watch.wanted():
            raise PipelineStoppedError
        if self._show is not None and isinstance(pipe.scheduler, _STRAIGHT):
            self._take_preview(pipe, step, latents, self._show)
        return tensors

    def end(self, pipe: DiffusionPipeline) -> None:
        """Report the last step, which was still queued when the loop ended."""
        if self._last is not None:
            self._last.synchronize()
            self._watch.stepped(pipe.num_timesteps, pipe.num_timesteps)

    def _in_flight(self, device: torch.device) -> int:
        """Wait for the previous step. One step stays queued, so that the GPU never waits for this process."""
        if device.type != "cuda":
            return 0
        last, self._last = self._last, torch.cuda.Event()
        self._last.record(torch.cuda.current_stream(device))
        if last is not None:
            last.synchronize()
        return 1

    def _take_preview(
        self, pipe: DiffusionPipeline, step: int, latents: torch.Tensor, show: Callable[[torch.Tensor], None]
    ) -> None:
        """Show the first picture as the direction of the last step predicts it, once it is time."""
        now = latents[:1].float()
        if self._before is not None and math.ceil(pipe.num_timesteps * PREVIEW_SHARE) <= step + 1 < pipe.num_timesteps:
            show(_expected(pipe, self._before, now).to(latents.dtype))
            self._show = None
        self._before = now


def _expected(pipe: DiffusionPipeline, before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """Continue in the direction of the last step until no noise is left."""
    at = pipe.scheduler.step_index
    noise_before, noise_now = pipe.scheduler.sigmas[at - 1], pipe.scheduler.sigmas[at]
    return now - noise_now * (now - before) / (noise_now - noise_before)
