"""What records the agent's work, for those who set something up that listens."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class GpuClock:
    """Adds up the seconds in which the model server runs a job, the current one's included.

    Jobs that overlap count once. It can be read in any thread, but is written in one.
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
        """Note that the model server begins with a job."""
        if not self._jobs:
            self._reading = self._reading[0], self._clock()
        self._jobs.add(job)

    def ended(self, job: str) -> None:
        """Note that a job has left the model server; ignored if the server had not begun with it."""
        if self._jobs == {job}:
            self._reading = self.busy_s, None
        self._jobs.discard(job)


class Recorder:
    """Records nothing. What records traces and metrics of the agent's work overrides it; nothing here waits or raises.

    Attributes:
        gpu: How long the model server has worked.
    """

    def __init__(self) -> None:
        self.gpu = GpuClock()

    @contextmanager
    def message(self, *, trace_header: str | None, traceparent: str | None) -> Iterator[None]:  # noqa: ARG002
        """The span of one message, in a trace that X-Ray's or the W3C's header names; else it begins a trace."""
        yield

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:  # noqa: ARG002
        """The span of one stage within the current one, and a measurement of its seconds.

        An exception marks the span and the measurement with an AgentError's code or its type, never with its message.
        """
        yield

    def annotate(self, **attributes: str | int) -> None:
        """Add attributes to the message's span."""

    def job_ended(self, outcome: str, error_code: str | None = None) -> None:
        """Count a job that has ended, and note its outcome on the message's span."""

    def retried(self, error_code: str) -> None:
        """Count a message that is released after an error, and mark its span as failed."""

    def queue_age(self, seconds: float) -> None:
        """Note a message's age; where SQS's clock is ahead of this machine's it counts as none."""

    async def page(self) -> tuple[int, str, bytes]:
        """The metrics as Prometheus reads them: status, Content-Type, body. It is made in a few milliseconds."""
        return 200, "text/plain", b""
