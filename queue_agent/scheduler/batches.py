"""What a device runs at a time: a job, or several together."""

from collections.abc import Callable

from queue_agent.ports import Work
from queue_agent.scheduler.forecast import JobForecast


class Batch:
    """Jobs that begin and end together; in most servers, one job.

    Attributes:
        number: The server's number of it; None for a job that runs alone.
        predicted_s: Seconds from its beginning to its end; None where that is unknown.
    """

    def __init__(self, number: int | None, forecast: JobForecast, clock: Callable[[], float]) -> None:
        self.number = number
        self.predicted_s: float | None = None
        self._forecast = forecast
        self._clock = clock
        self._began_s = clock()
        self._works: list[Work] = []
        self._learned = False

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._began_s

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the server should be done with it; None where that is unknown."""
        return None if self.predicted_s is None else max(0.0, self.predicted_s - self.elapsed_s)

    @property
    def last_call_s(self) -> float:
        """Seconds before its end at which the server decides what to run next."""
        return (self.predicted_s or 0.0) * max((work.last_call for work in self._works), default=0.0)

    @property
    def together(self) -> int:
        """How many jobs like these run together."""
        return min((work.together for work in self._works), default=1)

    def add(self, work: Work) -> None:
        """Add a job."""
        self._works.append(work)
        self.predicted_s = self._forecast.predict_s(self._works[0].kind, self._units)

    def progressed(self, fraction: float) -> None:
        """Correct the prediction by how far the server says it is."""
        self.predicted_s = self.elapsed_s / fraction

    def learn(self, took_s: float) -> None:
        """Learn how long it took, from the first of its jobs that gave a result."""
        if self._works and not self._learned:
            self._learned = True
            self._forecast.learn(self._works[0].kind, self._units, took_s, len(self._works))

    @property
    def _units(self) -> float:
        return sum(work.units for work in self._works)
