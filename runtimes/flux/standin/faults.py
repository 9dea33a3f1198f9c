"""Faults that the painting pipeline shows when a test asks for them."""

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from runtimes.flux.server.errors import PipelineMemoryError


class PipelineFaults(BaseModel, extra="forbid"):
    """What goes wrong or is slow; steps count from 1, and 0 means never.

    Attributes:
        die_at_step: The process is killed there.
        hang_at_step: It stands still there.
        hold_at_step: It waits before that step, with signs of life, until this is changed or no request is wanted.
        out_of_memory_above: More pictures than this at once are too many; None takes any number.
        load_seconds: How long loading takes.
        refuse: Why the model cannot be loaded; "" loads it.
        encode_seconds: How long a batch's prompts take.
        prompt: Only batches with a prompt that contains it go wrong.
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
        """Read the JSON file that ``STANDIN_FAULTS`` names, as it is now; none is no fault."""
        file = Path(os.environ.get("STANDIN_FAULTS") or os.devnull)
        return cls.model_validate_json((file.read_text() if file.exists() else "") or "{}")

    def meet(self, step: int, prompts: Sequence[str]) -> None:
        """Let happen what is due at a step of a batch, with a prompt for each picture.

        Raises:
            PipelineMemoryError: The pictures are too many.
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
