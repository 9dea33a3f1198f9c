"""The queues of the runtimes: how long they are, and when a job may start."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product, takewhile

from contract.queues import Priority
from jobs import queries
from jobs.beacon import Servers
from jobs.job import Job, JobState
from jobs.schema import QUEUE_SHARDS
from jobs.store import JobStore
from runtimes.catalog import RuntimeCatalog

MAX_POSITION = 1000
"""Maximum number of waiting jobs to count; that costs about 16 read units."""
_SERVERS_S = 5.0
"""How long a runtime's beacons are cached; they change once a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """A waiting job's place in its runtime's queue.

    Attributes:
        position: Number of the runtime's waiting jobs ahead of it: those with a higher priority, and earlier jobs with
            the same priority. None if more than MAX_POSITION.
        eta_s: Estimated seconds until it starts; None if unknown.
    """

    position: int | None
    eta_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeLoad:
    """How busy a runtime is.

    Attributes:
        queued: Number of waiting jobs; None if more than MAX_POSITION.
        running: Number of running jobs, as its agents last reported.
        ready_servers: Number of model servers that take jobs; 0 when scaled to zero.
        seconds_a_job: Average GPU time of a job; None if none has ended in the last hour.
        eta_s: Estimated seconds until a job of normal priority submitted now would start; None if unknown.
    """

    queued: int | None
    running: int
    ready_servers: int
    seconds_a_job: float | None
    eta_s: float | None


class QueueEstimates:
    """Counts the jobs that wait for a runtime, and estimates when they start.

    All calls raise botocore's errors if DynamoDB fails. ``clock`` gives seconds since 1970.
    """

    def __init__(self, jobs: JobStore, catalog: RuntimeCatalog, *, clock: Callable[[], float] = time.time) -> None:
        self._jobs = jobs
        self._catalog = catalog
        self._clock = clock
        self._servers_read: dict[str, tuple[float, Servers]] = {}

    def place(self, job: Job) -> QueuePlace | None:
        """Return a job's place in the queue; None if it is not waiting."""
        if job.state not in {JobState.ACCEPTED, JobState.QUEUED}:
            return None
        position = self._waiting(job.runtime, self._higher(job.runtime, job.priority), before=job)
        waited_s = self._clock() - job.created_s
        return QueuePlace(position=position, eta_s=self._eta_s(job.runtime, position, waited_s))

    def load(self, runtime: str) -> RuntimeLoad:
        """Return how busy a runtime is."""
        servers = self._servers(runtime)
        urgent = self._waiting(runtime, (*self._higher(runtime, Priority.NORMAL), Priority.NORMAL))
        others = (Priority.LOW,) if Priority.LOW in self._priorities(runtime) else ()
        queued = self._waiting(runtime, others, counted=urgent)
        return RuntimeLoad(
            queued=queued,
            running=servers.running,
            ready_servers=servers.ready,
            seconds_a_job=servers.seconds,
            eta_s=self._eta_s(runtime, urgent),
        )

    def _eta_s(self, runtime: str, before: int | None, waited_s: float = 0) -> float | None:
        return None if before is None else self._servers(runtime).eta_s(before, waited_s)

    def _priorities(self, runtime: str) -> tuple[Priority, ...]:
        found = self._catalog.find(runtime)
        return (Priority.NORMAL,) if found is None else found.priorities

    def _higher(self, runtime: str, priority: Priority) -> list[Priority]:
        """Return the runtime's priorities that are higher than one of them."""
        return list(takewhile(lambda one: one is not priority, self._priorities(runtime)))

    def _waiting(
        self, runtime: str, priorities: Sequence[Priority], *, counted: int | None = 0, before: Job | None = None
    ) -> int | None:
        """Count the waiting jobs of these priorities, plus ``counted``, plus those ahead of a job in its own queue.

        Returns None if there are more than MAX_POSITION.
        """
        queues: list[tuple[Priority, str | None]] = [(priority, None) for priority in priorities]
        if before is not None:
            queues.append((before.priority, before.id))
        for (priority, job), shard in product(queues, QUEUE_SHARDS):
            if counted is None:
                break
            # Count one more than the maximum, to notice that there are more.
            most = MAX_POSITION + 1 - counted
            counted += self._jobs.run(queries.waiting(runtime, shard, priority=priority, before=job, most=most))
            counted = counted if counted <= MAX_POSITION else None
        return counted

    def _servers(self, runtime: str) -> Servers:
        now_s = self._clock()
        read_s, servers = self._servers_read.get(runtime, (0.0, None))
        if servers is None or now_s - read_s > _SERVERS_S:
            beacons = self._jobs.beacons(runtime, now_s)
            servers = Servers.of(beacons, now_s)
            self._servers_read[runtime] = now_s, servers
        return servers
