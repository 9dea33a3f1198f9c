"""The stages of one job: each is timed, traced, and named in every log record written meanwhile."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from queue_agent.log import log_fields
from queue_agent.ports import Telemetry


class Stages:
    """Measures the stages of one job.

    Args:
        telemetry: Is told of each.

    Attributes:
        seconds: How long each ended stage took.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self.seconds: dict[str, float] = {}
        self._start_s = time.monotonic()
        self._telemetry = telemetry

    @property
    def elapsed_s(self) -> float:
        """Seconds since the job was received."""
        return round(time.monotonic() - self._start_s, 3)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Be in a stage for as long as the context lasts; only one that ends well is kept."""
        start_s = time.monotonic()
        with log_fields(stage=name), self._telemetry.stage(name):
            yield
        self.seconds[name] = round(time.monotonic() - start_s, 3)
