"""An early look at the first picture of a batch, from the direction in which its first steps went."""

import math
from collections.abc import Callable

import torch
from diffusers import DiffusionPipeline, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

_SHARE = 0.2
"""Of the steps that come before the look; earlier there is little to see."""
_STRAIGHT = (FlowMatchEulerDiscreteScheduler, EulerDiscreteScheduler)
"""Schedulers whose steps go straight towards the picture that the denoiser expects."""


class Preview:
    """Takes one look at a batch."""

    def __init__(self, show: Callable[[torch.Tensor], None]) -> None:
        self._show = show
        self._before: torch.Tensor | None = None
        self._taken = False

    def take(self, pipe: DiffusionPipeline, step: int, latents: torch.Tensor) -> None:
        """Look, if the time has come.

        Args:
            pipe: What denoises.
            step: Number of the step that is done, from 0.
            latents: What it left.
        """
        if self._taken or not isinstance(pipe.scheduler, _STRAIGHT):
            return
        now = latents[:1].float()
        if self._before is not None and math.ceil(pipe.num_timesteps * _SHARE) <= step + 1 < pipe.num_timesteps:
            self._taken = True
            self._show(_expected(pipe, self._before, now).to(latents.dtype))
        self._before = now


def _expected(pipe: DiffusionPipeline, before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """Go on in the last step's direction until no noise is left."""
    at = pipe.scheduler.step_index
    noise_before, noise_now = pipe.scheduler.sigmas[at - 1], pipe.scheduler.sigmas[at]
    return now - noise_now * (now - before) / (noise_now - noise_before)
