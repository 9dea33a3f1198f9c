"""What is counted and measured."""

from collections.abc import Iterator

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from queue_agent.telemetry.gpu_clock import GpuClock

_STAGE_BOUNDS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_AGE_BOUNDS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)


class Meters:
    """The agent's instruments; Prometheus's names for them end in _total and _seconds.

    Attributes:
        jobs: queue_agent.jobs, those that ended, by outcome and error.type.
        retries: queue_agent.retries, messages given back after a fault, by error.type.
        stage_seconds: queue_agent.stage.duration, by stage and error.type.
        queue_age: queue_agent.queue.age, seconds from a message's sending to its receipt.
        gpu: Behind queue_agent.gpu.busy, the seconds in which the model server ran a job. Its rate is the busy share
            of the GPU: ``avg by (runtime) (rate(queue_agent_gpu_busy_seconds_total[5m]))``.
    """

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("queue_agent")
        self.gpu = GpuClock()
        self.jobs = meter.create_counter("queue_agent.jobs", "{job}", "Jobs that ended.")
        self.retries = meter.create_counter("queue_agent.retries", "{retry}", "Messages given back after a fault.")
        self.stage_seconds = meter.create_histogram(
            "queue_agent.stage.duration",
            "s",
            "Seconds that a stage of a job took.",
            explicit_bucket_boundaries_advisory=_STAGE_BOUNDS_S,
        )
        self.queue_age = meter.create_histogram(
            "queue_agent.queue.age",
            "s",
            "Seconds that a message was in the queue before it was received.",
            explicit_bucket_boundaries_advisory=_AGE_BOUNDS_S,
        )
        meter.create_observable_counter(
            "queue_agent.gpu.busy", [self._gpu_busy], "s", "Seconds in which the model server ran a job."
        )

    def _gpu_busy(self, _options: CallbackOptions) -> Iterator[Observation]:
        yield Observation(self.gpu.busy_s)
