"""Looks at jobs that are due: published again, ended, told, or left for later."""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from contract import strict_json
from contract.deadlines import DEFAULT_DEADLINES
from contract.notice import JobError
from jobs.record import JobRecord, JobState
from jobs.requests import CLOCK_MARGIN_S
from jobs.schema import DUE_SHARDS
from keeper.jobs import Jobs
from keeper.notices import Notices
from keeper.problems import CANCELLED, lost, not_begun
from keeper.task_topic import TaskTopic

logger = logging.getLogger(__name__)

_AT_ONCE = 8
"""Jobs that are looked at beside each other; a client has ten connections."""
_BUDGET_S = 45
"""A run ends before the next one starts; what it has not come to is still due then."""


class Reaper:
    """Ends what nobody else will end.

    Each write is on the condition that the job has not changed since it was read; a refused one means that somebody
    was faster, and that is well.

    Args:
        jobs: The jobs.
        notices: Where the ends of jobs are told.
        tasks: Where tasks are published again.
        start_s: How long a job may wait for an agent whose item does not say it: one that an earlier version wrote.
    """

    def __init__(self, *, jobs: Jobs, notices: Notices, tasks: TaskTopic, start_s: float) -> None:
        self._jobs = jobs
        self._notices = notices
        self._tasks = tasks
        self._start_s = start_s

    def run(self) -> Mapping[str, int]:
        """Look at all jobs that are due; return how many were republished, ended, told, postponed, and how many failed.

        Raises:
            botocore.exceptions.BotoCoreError, ClientError: The table does not say what is due.
        """
        counts = Counter(republished=0, ended=0, told=0, postponed=0, failed=0)
        stop_s = time.monotonic() + _BUDGET_S
        due = (job for shard in self._shards() for job in self._jobs.due(shard))
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="job") as pool:
            while some := list(islice(due, _AT_ONCE)):
                if time.monotonic() > stop_s:
                    logger.warning("not all that is due could be looked at")
                    break
                for found in pool.map(self._outcome, some):
                    counts.update(found)
        logger.info(strict_json.dumps({"event": "reaped", **counts}))
        return counts

    def _shards(self) -> tuple[str, ...]:
        """All shards; each run begins with another, so that none waits behind a long one for ever."""
        turn = int(self._jobs.now_s / 60) % len(DUE_SHARDS)
        return (*DUE_SHARDS[turn:], *DUE_SHARDS[:turn])

    def _outcome(self, job: str) -> Counter[str]:
        """Look at a job; what came of it."""
        counts: Counter[str] = Counter()
        try:
            self._look_at(job, counts)
        except Exception:
            logger.exception("job %s failed", job)
            counts["failed"] += 1
        return counts

    def _look_at(self, job: str, counts: Counter[str]) -> None:
        now_s = self._jobs.now_s
        record = self._jobs.get(job)
        if record is None or record.due_s is None or record.due_s > now_s:
            return  # The index lags behind the table.
        if record.state.is_final:
            self._notices.tell(record)
            counts["told"] += 1
        elif record.state is JobState.ACCEPTED and self._start_by_s(record) > now_s:
            self._publish_again(record, counts)
        elif record.state is not JobState.RUNNING:
            self._end(record, JobState.FAILED, not_begun(record, now_s), counts)
        elif (lost_s := self._lost_s(record)) > now_s:
            self._postpone(record, lost_s, counts)
        elif record.cancel_requested:
            self._end(record, JobState.CANCELLED, CANCELLED, counts)
        else:
            self._end(record, JobState.FAILED, lost(now_s - (record.lease_until_s or record.due_s)), counts)

    def _publish_again(self, record: JobRecord, counts: Counter[str]) -> None:
        """Publish a task that was perhaps not published; either way it may wait for an agent.

        One that cannot be published stays accepted: if its caller repeats it under its key, the door publishes it.
        """
        start_by_s = self._start_by_s(record)
        if self._tasks.publish_again(record):
            self._jobs.change(self._jobs.requests.published(record.job, start_by_s))
            counts["republished"] += 1
        else:
            self._postpone(record, start_by_s, counts)

    def _postpone(self, record: JobRecord, due_s: float, counts: Counter[str]) -> None:
        if record.due_s is None:
            raise AssertionError("only what is due is postponed")
        request = self._jobs.requests.postpone(record.job, seen_due_s=record.due_s, due_s=due_s)
        counts["postponed"] += self._jobs.change(request).done

    def _end(self, record: JobRecord, state: JobState, problem: JobError, counts: Counter[str]) -> None:
        request = self._jobs.requests.give_up(
            record.job, state, problem, now_s=self._jobs.now_s, seen_due_s=record.due_s
        )
        change = self._jobs.change(request)
        if change.done and change.record is not None:
            counts["ended"] += 1
            self._notices.tell(change.record)
            counts["told"] += 1

    def _lost_s(self, record: JobRecord) -> float:
        """When a running job is lost: its lease has ended, and no other agent has taken it for too long."""
        if record.lease_until_s is None:
            return record.due_s or 0.0
        over_s = record.lease_until_s + CLOCK_MARGIN_S
        # Nobody is to take up again what was cancelled.
        return over_s if record.cancel_requested else max(over_s, self._start_by_s(record))

    def _start_by_s(self, record: JobRecord) -> float:
        """By when an agent is to have a job."""
        if record.start_by_s is not None:
            return record.start_by_s
        asked = record.deadlines.start_seconds if record.deadlines else None
        waits_s = self._start_s if asked is None else min(asked, DEFAULT_DEADLINES.max_start_s)
        return (record.lease_until_s or record.created_s) + waits_s
