"""Waiting for a job by asking the table again and again, in a shell that has a thread for each request."""

import logging
import time
from collections.abc import Callable, Iterator

from api.http import Stream, Wait
from jobs.dynamodb import AWS_ERRORS, error_name
from jobs.job import Job
from jobs.store import JobStore

COMMENT_EVERY_S = 15.0
"""A stream without events sends a comment this often, so that no proxy closes it."""
COMMENT = ": nothing new\n\n"
_FIRST_PAUSE_S = 0.25
_MAX_PAUSE_S = 1.0
_STREAM_PAUSE_S = 0.5

logger = logging.getLogger(__name__)


def waited(wait: Wait, jobs: JobStore, *, max_s: float) -> Job:
    """The last state of a job within the time that its caller waits; reads grow rarer, from 4 a second to 1."""
    job, pause_s = wait.job, _FIRST_PAUSE_S
    ends_s = time.monotonic() + min(wait.seconds, max_s)
    while not wait.is_over(job) and (left_s := ends_s - time.monotonic()) > 0:
        time.sleep(min(pause_s, left_s))
        pause_s = min(1.25 * pause_s, _MAX_PAUSE_S)
        job = _latest(job, jobs)
    return job


def followed(
    stream: Stream, jobs: JobStore, *, max_s: float, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Yield a stream's events until its job has ended or the time is over; clients then reconnect."""
    job, began_s = stream.job, time.monotonic()
    spoke_s = began_s
    version = -1
    while True:
        now_s = time.monotonic()
        if job.version != version or stream.source.is_due(now_s):
            version = job.version
            for text in stream.source.events(job, now_s):
                spoke_s = now_s
                yield text
        if job.state.is_final:
            return
        if now_s - began_s > max_s:
            if text := stream.source.cut(job):
                yield text
            return
        if now_s - spoke_s >= COMMENT_EVERY_S:
            spoke_s = now_s
            yield COMMENT
        sleep(_STREAM_PAUSE_S)
        job = _latest(job, jobs)


def _latest(job: Job, jobs: JobStore) -> Job:
    """A job's state; the one that is known where AWS does not answer, since its caller waits for what is accepted."""
    try:
        return jobs.get(job.id) or job
    except AWS_ERRORS as exc:
        logger.warning("not read again: job %s, %s", job.id, error_name(exc))
        return job
