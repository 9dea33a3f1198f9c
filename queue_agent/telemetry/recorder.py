"""Telemetry through OpenTelemetry's SDK."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from queue_agent.telemetry.meters import Meters
from queue_agent.telemetry.spans import ERROR_TYPE, Spans, error_type


class Recorder:
    """Records spans and measurements.

    Args:
        spans: Makes the spans.
        meters: The instruments.
        registry: What Prometheus is shown.
    """

    def __init__(self, spans: Spans, meters: Meters, registry: CollectorRegistry) -> None:
        self._spans = spans
        self._meters = meters
        self._registry = registry

    def message(self, *, trace_header: str | None, traceparent: str | None) -> AbstractContextManager[None]:
        """The span of one message, in the trace it came with."""
        return self._spans.message(trace_header=trace_header, traceparent=traceparent)

    def annotate(self, **attributes: str | int) -> None:
        """Add attributes to the current message's span."""
        self._spans.annotate(attributes)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The span of one stage, and a measurement of its seconds."""
        labels = {"stage": name}
        start_s = time.perf_counter()
        try:
            with self._spans.stage(name):
                yield
        except BaseException as exc:
            labels[ERROR_TYPE] = error_type(exc)
            raise
        finally:
            self._meters.stage_seconds.record(time.perf_counter() - start_s, labels)

    def job_ended(self, outcome: str, error_code: str | None = None) -> None:
        """Count a job."""
        labels = {"outcome": outcome}
        self._spans.annotate(labels)
        if error_code is not None:
            labels[ERROR_TYPE] = error_code
            self._spans.mark_failed(error_code)
        self._meters.jobs.add(1, labels)

    def retried(self, error_code: str) -> None:
        """Count a retry."""
        self._spans.mark_failed(error_code)
        self._meters.retries.add(1, {ERROR_TYPE: error_code})

    def queue_age(self, seconds: float) -> None:
        """Note a message's age; where SQS's clock is ahead of this machine's it counts as none."""
        self._meters.queue_age.record(max(0.0, seconds))

    def gpu_began(self, job: str) -> None:
        """Note that the GPU works."""
        self._meters.gpu.began(job)

    def gpu_ended(self, job: str) -> None:
        """Note that a job is off the GPU."""
        self._meters.gpu.ended(job)

    async def page(self) -> tuple[int, str, bytes]:
        """The metrics in Prometheus's text format; made in a few milliseconds."""
        return 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry)
