"""Faults that a test can set on the painting pipeline."""

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from runtimes.flux.server.errors import PipelineMemoryError


class PipelineFaults(BaseModel, extra="forbid"):
    """Faults and delays; steps count from 1, and 0 means never.

    Attributes:
        die_at_step: The process is killed at this step.
        hang_at_step: It hangs at this step.
        hold_at_step: It waits before this step, with signs of life, until this changes or all requests are cancelled.
        out_of_memory_above: More pictures than this at once run out of memory; None allows any number.
        load_seconds: How long loading takes.
        refuse: Why the model cannot be loaded; "" loads it.
        encode_seconds: How long encoding a batch takes.
        prompt: Faults apply only to batches with a prompt that contains this.
    """

    die_at_step: int = 0
    hang_at_step: int = 0
    hold_at_step: int = 0
    out_of_memory_above: int | None = None
    load_seconds: float = 0
    refuse: str = ""
    encode_seconds: float = 0
    prompt: str = ""

    @classmethod
    def read(cls) -> "PipelineFaults":
        """Read the current JSON file ``STANDIN_FAULTS``; without one, there are no faults."""
        file = Path(os.environ.get("STANDIN_FAULTS") or os.devnull)
        return cls.model_validate_json((file.read_text() if file.exists() else "") or "{}")

    def meet(self, step: int, prompts: Sequence[str]) -> None:
        """Apply the faults at a step of a batch, with one prompt per picture.

        Raises:
            PipelineMemoryError: There are too many pictures.
        """
        if not any(self.prompt in prompt for prompt in prompts):
            return
        if step == self.die_at_step:
            os.kill(os.getpid(), signal.SIGKILL)
        while step == self.hang_at_step:
            threading.Event().wait()
        if self.out_of_memory_above is not None and len(prompts) > self.out_of_memory_above:
            raise PipelineMemoryError(f"no memory for {len(prompts)} pictures")

    def holds(self, step: int, prompts: Sequence[str]) -> bool:
        """Whether a batch waits before a step."""
        return step == self.hold_at_step and any(self.prompt in prompt for prompt in prompts)
