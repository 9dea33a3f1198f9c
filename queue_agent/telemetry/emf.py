"""Records jobs as lines of CloudWatch's embedded metric format, which CloudWatch reads from the log of a function.

A line is a JSON object that names, in ``_aws``, which of its members are metrics and by what they are kept:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from queue_agent.telemetry.recorder import Recorder

_JOBS, _RETRIES = "queue_agent.jobs", "queue_agent.retries"
_STAGE_SECONDS, _QUEUE_AGE = "queue_agent.stage.duration", "queue_agent.queue.age"
_RUNTIME, _OUTCOME, _STAGE, _ERROR_TYPE = "runtime", "outcome", "stage", "error.type"
_RUN = "run"

_METRICS: Mapping[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    _JOBS: ("Count", ((_RUNTIME,), (_RUNTIME, _OUTCOME), (_RUNTIME, _ERROR_TYPE))),
    _RETRIES: ("Count", ((_RUNTIME,), (_RUNTIME, _ERROR_TYPE))),
    _STAGE_SECONDS: ("Seconds", ((_RUNTIME, _STAGE),)),
    _QUEUE_AGE: ("Seconds", ((_RUNTIME,),)),
}
"""Unit and sets of dimensions, as the collector of a cluster has them. Each set that is new to a runtime costs."""

_members: ContextVar[dict[str, str | float]] = ContextVar("metric_members")
"""What is measured of the message in whose context it is read."""


class EmbeddedMetricsRecorder(Recorder):
    """Writes a line to standard output for each message of which something is measured; it records no traces.

    Lambda passes a line on that is JSON, with its logs in either format. A line has one value of each dimension, so of
    the stages only "run" is measured, where it succeeds.
    """

    def __init__(self, namespace: str, runtime_name: str) -> None:
        super().__init__()
        self._namespace = namespace
        self._runtime_name = runtime_name

    @contextmanager
    def message(self, *, trace_header: str | None, traceparent: str | None) -> Iterator[None]:  # noqa: ARG002
        """Write at the end of the context what was measured in it."""
        members: dict[str, str | float] = {}
        token = _members.set(members)
        try:
            yield
        finally:
            _members.reset(token)
            if members:
                # In one piece: Lambda makes an event of each line.
                sys.stdout.write(self._line({_RUNTIME: self._runtime_name, **members}) + "\n")
                sys.stdout.flush()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the seconds of stage "run"."""
        start_s = time.perf_counter()
        yield
        if name == _RUN:
            _measure({_STAGE: name, _STAGE_SECONDS: round(time.perf_counter() - start_s, 3)})

    def job_ended(self, outcome: str, error_code: str | None = None) -> None:
        """Count a job that has ended."""
        _measure({_JOBS: 1, _OUTCOME: outcome})
        if error_code is not None:
            _measure({_ERROR_TYPE: error_code})

    def retried(self, error_code: str) -> None:
        """Count a message that is released after an error; the error of a job that has ended goes before it."""
        _measure({_RETRIES: 1} if _JOBS in _members.get({}) else {_RETRIES: 1, _ERROR_TYPE: error_code})

    def queue_age(self, seconds: float) -> None:
        """Note a message's age; where SQS's clock is ahead of this machine's it counts as none."""
        _measure({_QUEUE_AGE: round(max(0.0, seconds), 3)})

    def _line(self, members: Mapping[str, str | float]) -> str:
        directives = [
            {
                "Namespace": self._namespace,
                "Dimensions": [names for names in dimensions if members.keys() >= set(names)],
                "Metrics": [{"Name": metric, "Unit": unit}],
            }
            for metric, (unit, dimensions) in _METRICS.items()
            if metric in members
        ]
        metadata = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": directives}
        return json.dumps({"_aws": metadata, **members}, separators=(",", ":"))


def _measure(members: Mapping[str, str | float]) -> None:
    _members.get({}).update(members)
