"""The stages of one job: each is timed, and named in every log record written meanwhile."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from queue_agent.log import log_fields


class Stages:
    """Measures the stages of one job.

    Attributes:
        seconds: How long each ended stage took.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Be in a stage for as long as the context lasts; only one that ends well is kept."""
        start_s = time.monotonic()
        with log_fields(stage=name):
            yield
        self.seconds[name] = round(time.monotonic() - start_s, 3)
