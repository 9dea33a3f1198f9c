"""Scaling by seconds of work: what the scaler would decide, and what KEDA makes of it."""

from planning.simulation.setup import Seen
from scaler.demand import Reading, Tracker
from scaler.policy import Limits


class ByWork:
    """The chart's formula with a scaler: the pods that it wants, and one for each running job.

    Args:
        limits: What the scaler is told of the runtime.
        job_s: What a job is taken for until the first one has ended: secondsPerJob.
    """

    def __init__(self, limits: Limits, *, job_s: float) -> None:
        self._tracker = Tracker(limits, job_s=job_s)

    def __call__(self, seen: Seen) -> float:
        """The pods for what is seen."""
        decision = self._tracker.decide(
            Reading(
                at_s=seen.at_s,
                visible=seen.visible,
                in_flight=seen.in_flight,
                ready=seen.ready,
                devices=seen.devices,
                running=seen.running,
                job_s=seen.seconds,
            )
        )
        return max(decision.pods, min(seen.in_flight, seen.pods))
