"""Looks at jobs that are due: publishes them again, ends them, sends their notice, or leaves them for later."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from contract import strict_json
from contract.deadlines import DEFAULT_DEADLINES
from contract.notice import JobError
from jobs import commands
from jobs.commands import CLOCK_MARGIN_S
from jobs.job import Job, JobState
from jobs.schema import DUE_SHARDS
from jobs.store import JobStore
from keeper.topics import JobNotifier, TaskRepublisher

_MAX_CONCURRENT = 8
"""Jobs that are looked at at the same time; a client has ten connections."""
_BUDGET_S = 45
"""A run ends before the next one starts; jobs that it has not reached are still due then."""

CANCELLED = JobError(
    code="cancelled", message="The task was cancelled; the agent that ran it vanished before it could say so."
)

logger = logging.getLogger(__name__)


class Reaper:
    """Ends what no agent ends.

    Each write has the condition that the job has not changed since it was read; a refused one means that another part
    was faster, which is fine.

    Args:
        jobs: The jobs.
        notifier: Sends notices.
        tasks: Publishes tasks again.
        start_s: How long a job whose item does not say it may wait for an agent: one that an earlier version wrote.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        notifier: JobNotifier,
        tasks: TaskRepublisher,
        start_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._jobs = jobs
        self._notifier = notifier
        self._tasks = tasks
        self._start_s = start_s
        self._clock = clock

    def run(self) -> Mapping[str, int]:
        """Look at all jobs that are due; return how many were republished, ended, told, postponed, and how many failed.

        Raises:
            botocore.exceptions.BotoCoreError, ClientError: The table does not say what is due.
        """
        counts = Counter(republished=0, ended=0, told=0, postponed=0, failed=0)
        stop_s = time.monotonic() + _BUDGET_S
        due = (job for shard in self._shards() for job in self._jobs.due(shard, self._clock()))
        with ThreadPoolExecutor(_MAX_CONCURRENT, thread_name_prefix="job") as pool:
            while some := list(islice(due, _MAX_CONCURRENT)):
                if time.monotonic() > stop_s:
                    logger.warning("not all that is due could be looked at")
                    break
                for found in pool.map(self._outcome, some):
                    counts.update(found)
        logger.info(strict_json.dumps({"event": "reaped", **counts}))
        return counts

    def _shards(self) -> tuple[str, ...]:
        """All shards; each run begins with another, so that none waits behind a long one for ever."""
        first = int(self._clock() / 60) % len(DUE_SHARDS)
        return (*DUE_SHARDS[first:], *DUE_SHARDS[:first])

    def _outcome(self, job: str) -> Counter[str]:
        """Look at a job; return what came of it."""
        counts: Counter[str] = Counter()
        try:
            self._look_at(job, counts)
        except Exception:
            logger.exception("job %s failed", job)
            counts["failed"] += 1
        return counts

    def _look_at(self, job_id: str, counts: Counter[str]) -> None:
        now_s = self._clock()
        job = self._jobs.get(job_id)
        if job is None or job.due_s is None or job.due_s > now_s:
            return  # The index lags behind the table.
        if job.state.is_final:
            self._notifier.notify(job)
            counts["told"] += 1
        elif job.state is JobState.ACCEPTED and self._start_by_s(job) > now_s:
            self._publish_again(job, job.due_s, counts)
        elif job.state is not JobState.RUNNING:
            self._end(job, job.due_s, JobState.FAILED, not_begun(job, now_s), counts)
        elif (lost_s := self._lost_s(job, job.due_s)) > now_s:
            self._postpone(job, job.due_s, lost_s, counts)
        elif job.cancel_requested:
            self._end(job, job.due_s, JobState.CANCELLED, CANCELLED, counts)
        else:
            error = lost(now_s - (job.lease_until_s or job.due_s))
            self._end(job, job.due_s, JobState.FAILED, error, counts)

    def _publish_again(self, job: Job, due_s: float, counts: Counter[str]) -> None:
        """Publish a task that was perhaps not published; either way it may wait for an agent.

        One that cannot be published stays accepted: if its caller repeats it under its key, the door publishes it.
        """
        start_by_s = self._start_by_s(job)
        if self._tasks.publish_again(job):
            self._jobs.run(commands.published(job.id, start_by_s))
            counts["republished"] += 1
        else:
            self._postpone(job, due_s, start_by_s, counts)

    def _postpone(self, job: Job, seen_due_s: float, due_s: float, counts: Counter[str]) -> None:
        counts["postponed"] += self._jobs.run(commands.postpone(job.id, seen_due_s=seen_due_s, due_s=due_s)).done

    def _end(self, job: Job, due_s: float, state: JobState, error: JobError, counts: Counter[str]) -> None:
        change = self._jobs.run(commands.give_up(job.id, state, error, now_s=self._clock(), seen_due_s=due_s))
        if change.done and change.job is not None:
            counts["ended"] += 1
            self._notifier.notify(change.job)
            counts["told"] += 1

    def _lost_s(self, job: Job, due_s: float) -> float:
        """When a running job counts as lost: its lease has ended, and no other agent has claimed it for too long."""
        if job.lease_until_s is None:
            return due_s
        over_s = job.lease_until_s + CLOCK_MARGIN_S
        # No agent should take up again what was cancelled.
        return over_s if job.cancel_requested else max(over_s, self._start_by_s(job))

    def _start_by_s(self, job: Job) -> float:
        """By when an agent must have a job."""
        if job.start_by_s is not None:
            return job.start_by_s
        asked = job.deadlines.start_seconds if job.deadlines else None
        waits_s = self._start_s if asked is None else min(asked, DEFAULT_DEADLINES.max_start_s)
        return (job.lease_until_s or job.created_s) + waits_s


def not_begun(job: Job, now_s: float) -> JobError:
    """Why a job whose start deadline is over has failed."""
    advice = (
        f"See whether runtime {job.runtime} has pods that run and a model server that is ready, "
        "and whether its queue's filter lets its tasks through"
    )
    if job.claims or job.redrives:
        message = f"No agent took the task up again before its start deadline. {advice}."
    else:
        waited_s = (job.due_s or now_s) - job.created_s
        message = f"No agent began the task within {_duration(waited_s)}. {advice}."
    return JobError(code="start_deadline_exceeded", message=message)


def lost(waited_s: float) -> JobError:
    """Why a job whose agent vanished has failed.

    Args:
        waited_s: How long no other agent has claimed it.
    """
    return JobError(
        code="lost",
        message=f"The agent that ran the task vanished, and no other took it up within {_duration(waited_s)}.",
    )


def _duration(seconds: float) -> str:
    for size_s, unit in ((3600, "h"), (60, "min")):
        if seconds >= size_s:
            return f"{seconds / size_s:.3g} {unit}"
    return f"{seconds:.3g} s"
