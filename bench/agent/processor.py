"""How much processor time a process takes."""

import asyncio
import bisect
import os
import time
from pathlib import Path
from typing import Self

_LOOK_EVERY_S = 0.05
_USER, _SYSTEM = 11, 12
"""Places in /proc/PID/stat behind the command's name."""


class ProcessorTime:
    """Follows one process by the kernel's clock (Linux only); an async context manager.

    A program that was started anew under the same supervision is another process, and is not followed.
    """

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")
        self._times: list[float] = []
        self._spent_s: list[float] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to look."""
        self._task = asyncio.create_task(self._follow(), name="processor time")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def between_s(self, start: float, end: float) -> float:
        """Seconds of processor time between two Unix times, user and system together.

        Raises:
            ValueError: Nothing is known of the process at that time.
        """
        if not self._times or start < self._times[0] or end > self._times[-1] + 1:
            raise ValueError("the process was not followed at that time")
        return self._at(end) - self._at(start)

    def _at(self, moment: float) -> float:
        """What was spent by then, as if it were spent evenly between two looks."""
        after = min(bisect.bisect(self._times, moment), len(self._times) - 1)
        before = max(after - 1, 0)
        width = self._times[after] - self._times[before]
        share = min(1.0, max(0.0, (moment - self._times[before]) / width)) if width else 1.0
        return self._spent_s[before] + share * (self._spent_s[after] - self._spent_s[before])

    async def _follow(self) -> None:
        while True:
            if not self._look():
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    def _look(self) -> bool:
        try:
            fields = self._stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            return False
        self._times.append(time.time())
        self._spent_s.append((int(fields[_USER]) + int(fields[_SYSTEM])) / self._ticks_per_s)
        return True
