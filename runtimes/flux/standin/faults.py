"""Faults that the painting pipeline shows when a test asks for them."""

import json
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from runtimes.flux.server.errors import PipelineMemoryError


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFaults:
    """What goes wrong or is slow; steps count from 1, and 0 means never.

    Attributes:
        die_at_step: The process is killed there.
        die_while_encoding: The process is killed before the first step.
        hang_at_step: It stands still there.
        hold_at_step: It waits before that step, with signs of life, until this is changed or no request is wanted.
        out_of_memory_above: More pictures than this at once are too many; None takes any number.
        load_seconds: How long loading takes.
        refuse: Why the model cannot be loaded; "" loads it.
        encode_seconds: How long a batch's prompts take.
        prompt: Only batches with a prompt that contains it go wrong.
    """

    die_at_step: int = 0
    die_while_encoding: bool = False
    hang_at_step: int = 0
    hold_at_step: int = 0
    out_of_memory_above: int | None = None
    load_seconds: float = 0
    refuse: str = ""
    encode_seconds: float = 0
    prompt: str = ""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "PipelineFaults":
        """Read the JSON file that ``STANDIN_FAULTS`` names, as it is now; none is no fault."""
        file = Path(environ.get("STANDIN_FAULTS") or os.devnull)
        return cls(**json.loads((file.read_text() if file.exists() else "") or "{}"))

    def encode(self, prompts: Sequence[str]) -> None:
        """Let the time of encoding pass, if that is all that happens."""
        if self.die_while_encoding and self._meets(prompts):
            _die()
        time.sleep(self.encode_seconds)

    def check_memory(self, prompts: Sequence[str]) -> None:
        """Refuse a batch of too many pictures.

        Args:
            prompts: One for each picture.

        Raises:
            PipelineMemoryError: They are too many.
        """
        if self.out_of_memory_above is not None and self._meets(prompts) and len(prompts) > self.out_of_memory_above:
            raise PipelineMemoryError(f"no memory for {len(prompts)} pictures")

    def strike(self, step: int, prompts: Sequence[str]) -> None:
        """Let happen what is due at a step."""
        if not self._meets(prompts):
            return
        if step == self.die_at_step:
            _die()
        if step == self.hang_at_step:
            _hang()

    def holds(self, step: int, prompts: Sequence[str]) -> bool:
        """Whether a batch waits before a step."""
        return step == self.hold_at_step and self._meets(prompts)

    def _meets(self, prompts: Sequence[str]) -> bool:
        return any(self.prompt in prompt for prompt in prompts)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> NoReturn:
    while True:
        threading.Event().wait()
