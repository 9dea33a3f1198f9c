"""How long the GPU has worked."""

import time
from collections.abc import Callable


class GpuClock:
    """Adds up the seconds in which the model server runs a job, the current one's included.

    Jobs that overlap count once. It may be read in any thread, but is told in one.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._jobs: set[str] = set()
        self._reading: tuple[float, float | None] = 0.0, None  # seconds until the last stop; running since

    @property
    def busy_s(self) -> float:
        """Seconds worked until now."""
        total_s, since_s = self._reading
        return total_s if since_s is None else total_s + self._clock() - since_s

    def began(self, job: str) -> None:
        """Note that a job runs."""
        if not self._jobs:
            self._reading = self._reading[0], self._clock()
        self._jobs.add(job)

    def ended(self, job: str) -> None:
        """Note that a job runs no longer; ignored if it did not run."""
        if self._jobs == {job}:
            self._reading = self.busy_s, None
        self._jobs.discard(job)
