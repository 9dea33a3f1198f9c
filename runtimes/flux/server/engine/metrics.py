"""The server's metrics for Prometheus."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from runtimes.flux.server.engine.jobs import ServerJob

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_PICTURES = (1, 2, 3, 4, 6, 8, 12, 16, 32)
_ENDED = "Ended jobs, by task type and outcome."
_STAGES = "How long each stage of succeeded jobs took: queue, encode, denoise, decode, finish, preview."
_BUSY = "Seconds that a worker's device drew; its rate is the share of time it is busy."


class ServerMetrics:
    """The server's metrics in their own registry; ``waiting`` returns the number of waiting jobs."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        own = self._registry = CollectorRegistry()
        Gauge("flux_queue_jobs", "Jobs that wait for a worker.", registry=own).set_function(waiting)
        self._jobs = Counter("flux_jobs", _ENDED, ["task_type", "outcome"], registry=own)
        self._stages = Histogram("flux_stage_seconds", _STAGES, ["stage"], buckets=_SECONDS, registry=own)
        self._batches = Histogram("flux_batch_pictures", "Pictures denoised together.", buckets=_PICTURES, registry=own)
        self._pictures = Counter("flux_pictures", "Pictures of succeeded jobs.", registry=own)
        self._losses = Counter("flux_worker_losses", "Workers that died or hung.", ["worker"], registry=own)
        self._busy = Counter("flux_busy_seconds", _BUSY, ["worker"], registry=own)

    def note_batch(self, worker: int, seconds: float, drawn: Iterable[int]) -> None:
        """Count the time that a worker's device drew, and for each part of the batch its pictures."""
        self._busy.labels(worker).inc(seconds)
        for pictures in drawn:
            self._batches.observe(pictures)

    def note_loss(self, worker: int) -> None:
        """Count a worker that died or was killed."""
        self._losses.labels(worker).inc()

    def note_end(self, job: ServerJob) -> None:
        """Count an ended job, and the time of its stages."""
        self._jobs.labels(job.request.task_type, job.outcome).inc()
        if job.error is None:
            self._pictures.inc(len(job.request.seeds))
            for stage, seconds in job.times.seconds().items():
                self._stages.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """Write all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
