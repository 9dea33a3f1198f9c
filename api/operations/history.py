"""A caller's jobs: get, list and cancel them, and read their requests."""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from api.errors import RequestError
from api.http import Caller
from contract import strict_json
from contract.deadlines import DEFAULT_DEADLINES
from contract.ids import JOB_ID_PATTERN, first_job_id
from contract.notice import JobError
from contract.objects import MISSING_CODES, content_key
from jobs import commands, requests
from jobs.dynamodb import error_code
from jobs.job import Job, JobChange, JobState
from jobs.notifier import JobNotifier
from jobs.store import PAGE, JobStore

CANCELLED = JobError(code="cancelled", message="The task was cancelled by its caller before it began.")
MAX_LOOKED_AT = 10_000
"""Jobs that one page looks at: without an end, one request could read all jobs of 90 days."""
MAX_CANCELLED = 200
"""Jobs that one request cancels: each takes a few calls of AWS."""
_THREADS = 8
_END_OF_TIME_S = 2**48 / 1000 - 1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which of a tenant's jobs to list; times are seconds since 1970."""

    states: Sequence[JobState] = ()
    runtime: str | None = None
    task_id: str | None = None
    since_s: float = 0
    until_s: float = _END_OF_TIME_S

    @property
    def is_filter(self) -> bool:
        """Whether jobs of the time may be left out."""
        return bool(self.states or self.runtime is not None or self.task_id is not None)

    @property
    def parameters(self) -> dict[str, Any]:
        """What ``jobs.queries.tenants_jobs`` takes."""
        return {
            "states": self.states,
            "runtime": self.runtime,
            "task_id": self.task_id,
            "since": first_job_id(self.since_s),
            "until": first_job_id(self.until_s),
        }


class JobStateError(RequestError):
    """The job's state does not allow this."""

    def __init__(self, job: Job, message: str) -> None:
        super().__init__(409, "wrong_state", f"The job's state is {job.state.value}: {message}")


class History:
    """Jobs. A tenant sees its own, an admin sees all.

    Calls raise botocore's errors if AWS does not answer.
    """

    def __init__(self, *, jobs: JobStore, notifier: JobNotifier, make_s3: Callable[[], Any], bucket: str) -> None:
        self._jobs = jobs
        self._notifier = notifier
        self._make_s3 = make_s3
        self._bucket = bucket

    def get(self, caller: Caller, job: str) -> Job:
        """Get a job.

        Raises:
            RequestError: It does not exist, or the caller may not see it (404).
        """
        # The table also has other items, and rejects an empty key.
        found = self._jobs.get(job) if re.fullmatch(JOB_ID_PATTERN, job) else None
        if found is None or not (caller.is_admin or (caller.tenant is not None and found.tenant == caller.tenant)):
            raise RequestError(404, "not_found", "There is no such job, or it is older than 90 days.")
        return found

    def page(self, *tenants: str, wanted: JobFilter, limit: int, start: str | None) -> tuple[list[Job], str | None]:
        """List up to ``limit`` of the tenants' jobs, newest first. Also returns the id that starts the next page.

        With a filter, the page may have fewer jobs, or none, even if more follow: it ends after MAX_LOOKED_AT jobs.
        """
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="list") as threads:
            pages = list(threads.map(lambda tenant: self._ids(tenant, wanted, limit, start), tenants))
        ids = sorted((job for found, _ in pages for job in found), reverse=True)
        # Behind the end of its page a tenant may have more, so that the page of all ends with the first that does.
        last = max((end for _, end in pages if end is not None), default=None)
        ids = [job for job in ids if last is None or job >= last]
        if len(ids) > limit:
            ids, last = ids[:limit], ids[limit - 1]
        found = self._jobs.get_many(ids)
        # The index may still list a job that has just expired.
        return [found[job] for job in ids if job in found], last

    def _ids(self, tenant: str, wanted: JobFilter, limit: int, start: str | None) -> tuple[list[str], str | None]:
        """The ids of a page of a tenant's jobs, and the last that was looked at if more may follow."""
        size = PAGE if wanted.is_filter else limit + 1
        ids: list[str] = []
        pages = self._jobs.tenants_pages(tenant, start=start, limit=size, **wanted.parameters)
        for number, page in enumerate(pages, start=1):
            ids += [str(row["pk"]) for row in page.rows]
            if len(ids) > limit:
                return ids[:limit], ids[limit - 1]
            if number * size >= MAX_LOOKED_AT:
                return ids, page.last
        return ids, None

    def rows(self, tenant: str, wanted: JobFilter, *, start: str | None = None) -> Iterator[Mapping[str, Any]]:
        """List a tenant's jobs, newest first, with the attributes in the index (``jobs.schema.LISTED``).

        They start after the job ``start``.
        """
        return self._jobs.tenants_jobs(tenant, start=start, **wanted.parameters)

    def sent(self, job: Job) -> dict[str, Any] | None:
        """Return what a job's caller sent instead of its content; None if there is nothing but the content."""
        return self._jobs.run(requests.sent(job.id))

    def content(self, job: Job) -> dict[str, Any]:
        """Return the content that a job's model server got.

        Raises:
            RequestError: The content was not kept (404).
        """
        kept = self._jobs.run(requests.content(job.id))
        if kept is not None:
            return kept
        try:
            answer = self._make_s3().get_object(Bucket=self._bucket, Key=content_key(job.id))
            content: dict[str, Any] = strict_json.loads(answer["Body"].read(), max_values=None)
        except ClientError as exc:
            if error_code(exc) not in MISSING_CODES:
                raise
            raise RequestError(404, "not_kept", "The request of this job was not kept.") from None
        return content

    def cancel(self, job: Job) -> Job:
        """Cancel a job: at once if it waits, else within seconds, when its agent sees the request.

        Raises:
            JobStateError: The job has ended.
        """
        change = self._cancel_waiting(job.id)
        if not change.done:
            change = self._jobs.run(commands.request_cancel(job.id, time.time()))
        if change.done and change.job is not None:
            return change.job
        latest = change.job or job
        if latest.state is JobState.CANCELLED:
            return latest
        raise JobStateError(latest, "it can no longer be cancelled.")

    def cancel_all_waiting(self, tenant: str, runtime: str) -> int:
        """Cancel a tenant's jobs that wait for a runtime, the newest MAX_CANCELLED; return how many were cancelled."""
        since_s = time.time() - DEFAULT_DEADLINES.max_start_s
        waiting = JobFilter(states=(JobState.ACCEPTED, JobState.QUEUED), runtime=runtime, since_s=since_s)
        ids = [str(row["pk"]) for row in islice(self.rows(tenant, waiting), MAX_CANCELLED)]
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="cancel") as threads:
            return sum(change.done for change in threads.map(self._cancel_waiting, ids))

    def _cancel_waiting(self, job: str) -> JobChange:
        """Cancel a job unless it has begun or ended."""
        change = self._jobs.run(commands.cancel_waiting(job, CANCELLED, now_s=time.time()))
        if change.done and change.job is not None:
            self._notify(change.job)
        return change

    def _notify(self, job: Job) -> None:
        """Send a job's notice. A failure is only logged: the keeper sends it a little later."""
        try:
            self._notifier.notify(job)
        except (BotoCoreError, ClientError) as exc:
            logger.warning("the notice waits for the keeper: job %s, %s", job.id, type(exc).__name__)


def merged(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a JSON merge patch (RFC 7396) to content: null removes a key, objects are merged."""
    result: dict[str, Any] = json.loads(json.dumps(content))
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            inner = result.get(key)
            result[key] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[key] = value
    return result
