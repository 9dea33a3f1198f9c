"""What happens after each step: progress is told, a batch that nobody wants is stopped, an early look is taken."""

from typing import Any

import torch
from diffusers import DiffusionPipeline

from runtimes.flux.server.pipeline.preview import Preview
from runtimes.flux.server.ports import StoppedError, Watch


class Steps:
    """Called by diffusers after each step of a batch."""

    def __init__(self, watch: Watch, preview: Preview | None) -> None:
        self._watch = watch
        self._preview = preview
        self._last: torch.cuda.Event | None = None

    def __call__(self, pipe: DiffusionPipeline, step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Tell, ask and look.

        Raises:
            StoppedError: Nobody wants the batch any more.
        """
        latents: torch.Tensor = tensors["latents"]
        done = step + 1 - self._in_flight(latents.device)
        if done:
            self._watch.stepped(done, pipe.num_timesteps)
        if not self._watch.wanted():
            raise StoppedError
        if self._preview is not None:
            self._preview.take(pipe, step, latents)
        return tensors

    def end(self, pipe: DiffusionPipeline) -> None:
        """Tell of the step that was still queued when the loop was left."""
        if self._last is not None:
            self._last.synchronize()
            self._watch.stepped(pipe.num_timesteps, pipe.num_timesteps)

    def _in_flight(self, device: torch.device) -> int:
        """Wait for the step before this one. One step stays queued, so that the GPU never waits for this process."""
        if device.type != "cuda":
            return 0
        last, self._last = self._last, torch.cuda.Event()
        self._last.record(torch.cuda.current_stream(device))
        if last is not None:
            last.synchronize()
        return 1
