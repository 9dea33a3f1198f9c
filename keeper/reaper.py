"""Handles due jobs: publishes them again, ends them, sends their notices, or postpones them."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from contract import strict_json
from contract.deadlines import DEFAULT_DEADLINES
from contract.notice import JobError
from jobs import commands
from jobs.commands import CLOCK_MARGIN_S, LOST_MESSAGE_S
from jobs.job import Job, JobState
from jobs.notifier import JobNotifier
from jobs.schema import DUE_SHARDS
from jobs.store import JobStore
from keeper.republisher import TaskRepublisher

_MAX_CONCURRENT = 8
"""Jobs handled at the same time; a client has ten connections."""
_BUDGET_S = 45
"""A run ends before the next one starts; the next run handles the jobs that this one did not reach."""

CANCELLED = JobError(
    code="cancelled", message="The task was cancelled; the agent that ran it vanished before it could say so."
)

logger = logging.getLogger(__name__)


class Reaper:
    """Ends jobs that no agent ends.

    Each write has the condition that the job has not changed since it was read; if it is refused, another part was
    faster, which is fine. ``start_s`` is how long a job may wait for an agent if its item, written by an earlier
    version, does not say.
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
        """Handle all due jobs; return counts of what was done: "told" counts notices, "failed" jobs with an error.

        Raises:
            botocore.exceptions.BotoCoreError, ClientError: The table could not be read.
        """
        counts = Counter(republished=0, ended=0, told=0, postponed=0, failed=0)
        stop_s = time.monotonic() + _BUDGET_S
        # Each run starts with another shard, so that none waits forever behind a long one.
        first = int(self._clock() / 60) % len(DUE_SHARDS)
        shards = (*DUE_SHARDS[first:], *DUE_SHARDS[:first])
        due = (job for shard in shards for job in self._jobs.due(shard, self._clock()))
        with ThreadPoolExecutor(_MAX_CONCURRENT, thread_name_prefix="job") as pool:
            while some := list(islice(due, _MAX_CONCURRENT)):
                if time.monotonic() > stop_s:
                    logger.warning("not all that is due could be looked at")
                    break
                for outcome in pool.map(self._outcome, some):
                    counts.update(outcome)
        logger.info(strict_json.dumps({"event": "reaped", **counts}))
        return counts

    def _outcome(self, job: str) -> list[str]:
        """Handle a job; return what was done."""
        outcome: list[str] = []
        try:
            for step in self._look_at(job):
                outcome.append(step)  # noqa: PERF402 (what was done before an error counts)
        except Exception:  # one bad job must not stop the others
            logger.exception("job %s failed", job)
            outcome.append("failed")
        return outcome

    def _look_at(self, job_id: str) -> Iterator[str]:
        now_s = self._clock()
        job = self._jobs.get(job_id)
        if job is None or job.due_s is None or job.due_s > now_s:
            return  # The index lags behind the table.
        if job.state.is_final:
            self._notifier.notify(job)
            yield "told"
        elif job.state is JobState.ACCEPTED and self._start_by_s(job) > now_s:
            # A job that cannot be published stays accepted, because its caller may repeat the request with its key.
            # In both cases it may wait for an agent.
            if self._tasks.publish_again(job):
                self._jobs.run(commands.published(job.id, now_s=now_s, start_by_s=self._start_by_s(job)))
                yield "republished"
            else:
                yield from self._postpone(job.id, job.due_s, self._start_by_s(job))
        elif job.state is JobState.QUEUED and self._start_by_s(job) > now_s:
            if self._tasks.is_lost(job) and self._tasks.publish_again(job):
                yield "republished"
            yield from self._postpone(job.id, job.due_s, min(self._start_by_s(job), now_s + LOST_MESSAGE_S))
        elif job.state is not JobState.RUNNING:
            yield from self._end(job.id, job.due_s, JobState.FAILED, not_begun(job, now_s))
        elif (lost_s := self._lost_s(job, job.due_s)) > now_s:
            yield from self._postpone(job.id, job.due_s, lost_s)
        elif job.cancel_requested:
            yield from self._end(job.id, job.due_s, JobState.CANCELLED, CANCELLED)
        else:
            yield from self._end(job.id, job.due_s, JobState.FAILED, lost(now_s - (job.lease_until_s or job.due_s)))

    def _postpone(self, job: str, seen_due_s: float, due_s: float) -> Iterator[str]:
        if self._jobs.run(commands.postpone(job, seen_due_s=seen_due_s, due_s=due_s)).done:
            yield "postponed"

    def _end(self, job: str, seen_due_s: float, state: JobState, error: JobError) -> Iterator[str]:
        change = self._jobs.run(commands.give_up(job, state, error, now_s=self._clock(), seen_due_s=seen_due_s))
        if change.done and change.job is not None:
            yield "ended"
            self._notifier.notify(change.job)
            yield "told"

    def _lost_s(self, job: Job, due_s: float) -> float:
        """When a running job counts as lost: some time after its lease has ended without another agent's claim."""
        if job.lease_until_s is None:
            return due_s
        over_s = job.lease_until_s + CLOCK_MARGIN_S
        # No agent should take over a cancelled job.
        return over_s if job.cancel_requested else max(over_s, self._start_by_s(job))

    def _start_by_s(self, job: Job) -> float:
        """By when an agent must claim a job."""
        if job.start_by_s is not None:
            return job.start_by_s
        asked = job.deadlines.start_seconds if job.deadlines else None
        waits_s = self._start_s if asked is None else min(asked, DEFAULT_DEADLINES.max_start_s)
        return (job.lease_until_s or job.created_s) + waits_s


def not_begun(job: Job, now_s: float) -> JobError:
    """The error of a job whose start deadline has passed."""
    advice = (
        f"See whether runtime {job.runtime} has pods that run and a model server that is ready, "
        "and whether its queue's filter lets its tasks through"
    )
    if job.claims or job.redrives:
        message = f"No agent took the task up again before its start deadline. {advice}."
    else:
        waited_s = (job.start_by_s or job.due_s or now_s) - job.created_s
        message = f"No agent began the task within {_duration(waited_s)}. {advice}."
    return JobError(code="start_deadline_exceeded", message=message)


def lost(waited_s: float) -> JobError:
    """The error of a job whose agent vanished and that no other agent has claimed since."""
    message = f"The agent that ran the task vanished, and no other took it up within {_duration(waited_s)}."
    return JobError(code="lost", message=message)


def _duration(seconds: float) -> str:
    for size_s, unit in ((3600, "h"), (60, "min")):
        if seconds >= size_s:
            return f"{seconds / size_s:.3g} {unit}"
    return f"{seconds:.3g} s"
