"""Submits tasks.

The steps are: store content that is too large for a message, enter the job in the table, publish the task, mark the job
as queued. If the API dies between any two, the keeper continues, so that no task is lost and none runs twice.
"""

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from api.errors import BudgetError, IdempotencyConflictError
from api.http import Caller
from api.publisher import TaskPublisher
from contract import strict_json
from contract.deadlines import DEFAULT_DEADLINES
from contract.ids import first_job_id
from contract.task import Task
from contract.times import time_of
from contract.webhooks import Webhook, WebhookForm
from jobs import budgets, commands, idempotency, requests
from jobs.dynamodb import AWS_ERRORS, error_name
from jobs.job import Job, JobState
from jobs.store import JobStore

_KEEPING_THREADS = 8
_KEY_TRIES = 4
_INDEX_LAG_S = 1.0
"""After which an index of the table has a job that was just accepted, nearly always."""
_INDEX_PAUSE_S = 0.25
_KEY_PAUSE_S = 0.05
"""Pause between two tries while another request's transaction uses the same key."""

logger = logging.getLogger(__name__)


class KeyBusyError(Exception):
    """Transactions of other requests keep the caller's Idempotency-Key busy."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's Idempotency-Key, which stands for one request however often the caller sends it."""

    value: str
    body_sha256: str
    """Hash of the API version and the body, byte for byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSubmission:
    """A valid task from a caller, with the platform's own data about it."""

    request: Task
    job: str
    accepted_s: float
    """When it was accepted, seconds since 1970."""
    start_s: float
    """Seconds within which it must start."""
    caller: Caller
    key: IdempotencyKey | None
    traceparent: str | None
    """The trace in which it was submitted."""
    webhook: Webhook | None = None
    webhook_form: WebhookForm | None = None
    retry_of: str | None = None
    """The job that this one repeats."""
    sent: Mapping[str, Any] | None = None
    """What its caller sent instead of the content, such as the name of a workflow."""

    @property
    def task(self) -> Task:
        """The task with the platform's own metadata."""
        submitted_at = time_of(self.accepted_s)
        platform_keys = {"job": self.job, "tenant": self.caller.tenant, "submitted_at": submitted_at}
        return self.request.model_copy(update={"metadata": self.request.metadata.model_copy(update=platform_keys)})

    def entered(self) -> Job:
        """The job as it was entered, so that the answer needs no further read of the table."""
        metadata = self.task.metadata
        return Job(
            pk=self.job,
            state=JobState.QUEUED,
            version=1,
            created_at=self.accepted_s,
            notified=False,
            pictures=(),
            error=None,
            context=strict_json.dumps(metadata.context),
            retry_of=self.retry_of,
            **metadata.model_dump(include={"runtime", "tasktype", "tenant", "prefix", "priority"}),
            task_id=metadata.id,
        )

    @property
    def start_by_s(self) -> float:
        """Its start deadline, seconds since 1970."""
        return self.accepted_s + self.start_s


def milliseconds(time_s: float) -> float:
    """Cut a time to whole milliseconds, the precision of the table and of job ids."""
    return int(time_s * 1000) / 1000


@dataclass(frozen=True, slots=True)
class _EarlierJob:
    """The job that a key already stands for, and when it was accepted if it is not recorded as published.

    ``record`` is the job in the table; None if it has expired.
    """

    job: str
    unpublished_since_s: float | None
    record: Job | None


class Submissions:
    """Accepts tasks. ``keep_requests`` says whether their content is kept, so that jobs can be repeated."""

    def __init__(self, *, jobs: JobStore, publisher: TaskPublisher, keep_requests: bool = True) -> None:
        self._jobs = jobs
        self._publisher = publisher
        self._keep_requests = keep_requests
        self._threads = ThreadPoolExecutor(_KEEPING_THREADS, thread_name_prefix="keep")

    def submit(self, submission: TaskSubmission) -> Job:
        """Accept a task, once for each key.

        Returns:
            The job: an earlier one if the key already stands for it.

        Raises:
            IdempotencyConflictError: Its key stands for another request.
            BudgetError: Its caller has reached a limit.
            KeyBusyError: Other requests keep its key busy.
            botocore.exceptions.BotoCoreError, ClientError: An AWS call failed.
        """
        content = submission.request.content or {}
        request = requests.pack(content) if self._keep_requests else None
        sent = requests.pack(submission.sent) if submission.sent and self._keep_requests else None
        is_large = self._keep_requests and request is None
        has_budget = submission.caller.has_budget
        if submission.key is not None and (is_large or has_budget or self._publisher.is_large(submission.task)):
            # A repeated or rejected request must not store its content again or count twice.
            earlier = self._find(submission, submission.key)
            if earlier is not None:
                return self._repeat(submission, earlier, request, sent)
        if has_budget:
            self._check_budget(submission)
        # Store before entering: the keeper publishes an entered job if it finds its content.
        task = self._publisher.store(submission.task, submission.job, keep=is_large)
        earlier = self._enter(submission)
        if earlier is not None:
            return self._repeat(submission, earlier, request, sent)
        keeping = self._threads.submit(self._keep, submission.job, submission.accepted_s, request, sent)
        try:
            self._publisher.publish(task, submission.traceparent)
        except AWS_ERRORS:
            if submission.key is None:
                self._withdraw(submission.job)
            raise
        finally:
            keeping.result()
        return self._mark_published(submission)

    def _keep(self, job: str, accepted_s: float, request: bytes | None, sent: bytes | None) -> None:
        """Keep what there is of a request. A failure is only logged: the job runs, but cannot be repeated."""
        if not (request or sent):
            return
        try:
            self._jobs.run(requests.keep(job, accepted_s, request=request, sent=sent))
        except AWS_ERRORS as exc:
            logger.warning("request not kept: job %s, %s", job, error_name(exc))

    def _enter(self, submission: TaskSubmission) -> _EarlierJob | None:
        """Enter a job in the table, or return the job that its key already stands for."""
        key = submission.key
        accept = commands.accept(
            submission.task,
            submission.accepted_s,
            start_by_s=submission.start_by_s,
            key=None if key is None else key.value,
            body_sha256="" if key is None else key.body_sha256,
            webhook=submission.webhook,
            webhook_form=submission.webhook_form,
            retry_of=submission.retry_of,
        )
        if key is None:
            # Job ids are random: if this is refused, the job is ours, from a try whose answer was lost.
            self._jobs.run(accept)
            return None
        for _ in range(_KEY_TRIES):
            if self._jobs.run(accept).done:
                return None
            if (earlier := self._find(submission, key)) is not None:
                return earlier
            time.sleep(_KEY_PAUSE_S)
        raise KeyBusyError

    def _find(self, submission: TaskSubmission, key: IdempotencyKey) -> _EarlierJob | None:
        """The job that a key stands for; None if there is none, or none any more."""
        use = self._jobs.run(idempotency.key_use(submission.caller.tenant, key.value, submission.accepted_s))
        if use is None:
            return None
        if use.body_sha256 != key.body_sha256:
            raise IdempotencyConflictError
        job = self._jobs.get(use.job)
        is_open = job is not None and job.state is JobState.ACCEPTED
        return _EarlierJob(use.job, job.created_s if job and is_open else None, job)

    def _repeat(
        self, submission: TaskSubmission, earlier: _EarlierJob, request: bytes | None, sent: bytes | None
    ) -> Job:
        """Keep the request of an earlier job again, and publish it again unless it is recorded as published."""
        if earlier.unpublished_since_s is None:
            if earlier.record is not None:  # it may have been published without its request being kept
                self._keep(earlier.job, submission.accepted_s, request, sent)
            return earlier.record or replace(submission, job=earlier.job).entered()
        submission = replace(submission, job=earlier.job, accepted_s=earlier.unpublished_since_s)
        task = self._publisher.store(submission.task, submission.job)
        self._keep(submission.job, submission.accepted_s, request, sent)
        self._publisher.publish(task, submission.traceparent)
        return self._mark_published(submission)

    def _check_budget(self, submission: TaskSubmission) -> None:
        """Count a job, unless its caller has reached a limit.

        A job that cannot be entered afterwards stays counted: a budget may be a little too strict, never too loose.
        """
        caller, now_s = submission.caller, submission.accepted_s
        tenant = caller.tenant or ""
        if caller.queued_jobs is not None:
            self._check_waiting(tenant, caller.queued_jobs)
        if (most := caller.jobs_per_day) is not None:
            day = datetime.fromtimestamp(now_s, UTC)
            if not self._jobs.run(budgets.count_job(tenant, day.date().isoformat(), most, now_s)).done:
                left_s = 24 * 3600 - (day.hour * 60 + day.minute) * 60 - day.second
                raise BudgetError(f"You have submitted {most} jobs today, which is as many as you may.", left_s)

    def _check_waiting(self, tenant: str, most: int) -> None:
        """Count a job that will wait, unless as many wait as may.

        Nothing lowers the count but looking at the jobs, which is done where it has become too high. The index of
        jobs is a little behind, so it is asked a moment after the last job was counted.
        """
        began_s = time.time()
        while not self._jobs.run(budgets.count_waiting(tenant, most, time.time())).done:
            seen_s = time.time() - _INDEX_LAG_S
            waiting = self._waiting(tenant, most)
            is_late = time.time() - began_s > 2 * _INDEX_LAG_S
            if waiting >= most or is_late:
                raise BudgetError(f"{most} of your jobs are waiting, which is as many as may; try again later.", 30)
            if not self._jobs.run(budgets.correct_waiting(tenant, waiting, seen_s)).done:
                time.sleep(_INDEX_PAUSE_S)

    def _waiting(self, tenant: str, most: int) -> int:
        """How many of a tenant's jobs wait, as the index has it; ``most`` at the most."""
        since = first_job_id(time.time() - DEFAULT_DEADLINES.max_start_s)
        rows = self._jobs.tenants_jobs(tenant, since=since, states=(JobState.ACCEPTED, JobState.QUEUED))
        return sum(1 for _ in islice(rows, most))

    def _withdraw(self, job: str) -> None:
        """Delete a job that could not be published. A failure is only logged, because the keeper ends such a job."""
        try:
            if not self._jobs.run(commands.withdraw(job)).done:
                logger.warning("not withdrawn: job %s, an agent has it", job)
        except AWS_ERRORS as exc:
            logger.warning("not withdrawn: job %s, %s", job, error_name(exc))

    def _mark_published(self, submission: TaskSubmission) -> Job:
        """Mark a job as queued. A failure is only logged: the job is on its way, and the keeper corrects its item."""
        try:
            change = self._jobs.run(
                commands.published(submission.job, now_s=time.time(), start_by_s=submission.start_by_s)
            )
            return change.job or submission.entered()
        except AWS_ERRORS as exc:
            logger.warning("not marked as published: job %s, %s", submission.job, error_name(exc))
            return submission.entered()
