"""Those who wait for a job get what is known of it, also while AWS does not answer."""

import asyncio

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from api.faces.v1.events import JobEvents
from api.faces.v1.models.jobs import QueueView
from api.http import Stream, Wait
from api.waiting import followed, waited
from api.watching import Watcher
from jobs.job import Job, JobState

THROTTLED = ClientError({"Error": {"Code": "ThrottlingException"}}, "GetItem")
FAILURES = [THROTTLED, EndpointConnectionError(endpoint_url="https://aws"), ResponseParserError("half an answer")]


def job(state=JobState.QUEUED, version=1):
    given = {"task_id": "a", "runtime": "r", "tasktype": "t", "prefix": "output", "context": "null"}
    given |= {"pictures": (), "error": None, "notified": False}
    return Job(pk="j", state=state, version=version, created_at=1.0, **given)


class Table:
    """Answers each read with the next of what it was given, or raises it."""

    def __init__(self, *answers):
        self._answers = iter(answers)

    def get(self, _):
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def versions(self, jobs):
        return dict.fromkeys(jobs, 2)

    def get_many(self, jobs):
        return {one: self.get(one) for one in jobs}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_caller_who_waits_is_answered_though_a_read_fails(failure, monkeypatch):
    monkeypatch.setattr("api.waiting._FIRST_PAUSE_S", 0)
    ended = job(JobState.SUCCEEDED, 2)
    wait = Wait(job=job(), is_over=lambda latest: latest.state.is_final, seconds=60, render=None)
    assert waited(wait, Table(failure, failure, ended), max_s=60) == ended


def events(place):
    return JobEvents(
        render=lambda job: {"state": job.state, "progress": None, "images": [], "files": []}, queue_place=place, seen=0
    )


def test_a_stream_goes_on_though_reads_of_the_job_and_of_its_place_fail():
    places = iter([THROTTLED, QueueView(position=0, eta_s=None)])

    def place(_):
        answer = next(places)
        if isinstance(answer, Exception):
            raise answer
        return answer

    table = Table(THROTTLED, job(JobState.SUCCEEDED, 2))
    stream = Stream(job=job(), source=events(place))
    texts = "".join(followed(stream, table, max_s=60, sleep=lambda _: None))
    assert [line for line in texts.splitlines() if line.startswith("event")] == [
        "event: state",
        "event: state",
        "event: end",
    ]


async def test_a_job_that_cannot_be_read_does_not_end_the_waiting_of_all(monkeypatch):
    monkeypatch.setattr("api.watching._FAILED_PAUSE_S", 0)
    ended = job(JobState.SUCCEEDED, 2)
    watcher = Watcher(Table(ValueError("written by a later version"), ResponseParserError("half"), ended))
    async with asyncio.timeout(60):
        assert await anext(watcher.changes(job())) == ended
