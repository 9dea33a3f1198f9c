"""Telemetry through OpenTelemetry's SDK: the agent's spans and its instruments."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry.metrics import MeterProvider, Observation
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from queue_agent.telemetry.spans import ERROR_TYPE, Spans, error_type

_STAGE_BOUNDS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_AGE_BOUNDS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)


class GpuClock:
    """Adds up the seconds in which the model server runs a job, the current one's included.

    Jobs that overlap count once. It can be read in any thread, but is written in one.

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


class Recorder:
    """Records spans and measurements. Prometheus's names of the instruments end in _total and _seconds.

    Args:
        spans: Makes the spans.
        meters: Makes the instruments.
        registry: What the page for Prometheus shows.
    """

    def __init__(self, spans: Spans, meters: MeterProvider, registry: CollectorRegistry) -> None:
        meter = meters.get_meter("queue_agent")
        self._spans = spans
        self._registry = registry
        self._gpu = GpuClock()
        self._jobs = meter.create_counter("queue_agent.jobs", "{job}", "Jobs that ended.")
        self._retries = meter.create_counter("queue_agent.retries", "{retry}", "Messages given back after a fault.")
        self._stage_seconds = meter.create_histogram(
            "queue_agent.stage.duration",
            "s",
            "Seconds that a stage of a job took.",
            explicit_bucket_boundaries_advisory=_STAGE_BOUNDS_S,
        )
        self._queue_age = meter.create_histogram(
            "queue_agent.queue.age",
            "s",
            "Seconds that a message was in the queue before it was received.",
            explicit_bucket_boundaries_advisory=_AGE_BOUNDS_S,
        )
        # Its rate is the busy share of the GPU: avg by (runtime) (rate(queue_agent_gpu_busy_seconds_total[5m])).
        meter.create_observable_counter(
            "queue_agent.gpu.busy",
            [lambda _: [Observation(self._gpu.busy_s)]],
            "s",
            "Seconds in which the model server ran a job.",
        )

    def message(self, *, trace_header: str | None, traceparent: str | None) -> AbstractContextManager[None]:
        """The span of one message, in the trace that it came with."""
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
            self._stage_seconds.record(time.perf_counter() - start_s, labels)

    def job_ended(self, outcome: str, error_code: str | None = None) -> None:
        """Count a job, and note its outcome on the message's span."""
        labels = {"outcome": outcome}
        self._spans.annotate(labels)
        if error_code is not None:
            labels[ERROR_TYPE] = error_code
            self._spans.mark_failed(error_code)
        self._jobs.add(1, labels)

    def retried(self, error_code: str) -> None:
        """Count a retry, and mark the message's span as failed."""
        self._spans.mark_failed(error_code)
        self._retries.add(1, {ERROR_TYPE: error_code})

    def queue_age(self, seconds: float) -> None:
        """Note a message's age; where SQS's clock is ahead of this machine's it counts as none."""
        self._queue_age.record(max(0.0, seconds))

    def gpu_began(self, job: str) -> None:
        """Note that the model server begins with a job."""
        self._gpu.began(job)

    def gpu_ended(self, job: str) -> None:
        """Note that a job has left the model server."""
        self._gpu.ended(job)

    async def page(self) -> tuple[int, str, bytes]:
        """The metrics in Prometheus's text format; made in a few milliseconds."""
        return 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry)
