"""Scaling by seconds of work: what the scaler would decide, and what KEDA makes of it."""

from scaler.demand import Reading, Tracker
from scaler.policy import Limits


class ByWork:
    """The chart's formula with a scaler: the pods that it wants, and one for each running job.

    Args:
        limits: What the scaler is told of the runtime.
        job_s: What a job is taken for until the first one has ended: secondsPerJob.
        devices: Number of GPUs of a pod, which a scaler that has seen one knows.
    """

    def __init__(self, limits: Limits, *, job_s: float, devices: int = 1) -> None:
        self._tracker = Tracker(limits, job_s=job_s, devices=devices)

    def __call__(self, reading: Reading, pods: int) -> float:
        """The pods there should be."""
        wanted = self._tracker.decide(reading).pods
        return wanted if wanted >= pods else max(wanted, min(reading.in_flight, pods))
