"""Drivers of servers with a queue: when jobs are posted, followed, asked for, adopted and withdrawn."""

import asyncio
import copy
import uuid
from contextlib import suppress

import pytest
from driverkit import JOB, signals

from jobs.job import Progress
from queue_agent.errors import Rejected, ServerError
from queue_agent.ports import Result
from runtimes._queued import MAX_EARLIER_CLAIMS, JobReport, QueuedJob, QueuedServer

FIRST, SECOND, THIRD = (str(uuid.uuid5(uuid.UUID(JOB), str(claim))) for claim in (1, 2, 3))
RUNNING, DONE = JobReport(state="running", batch=7), JobReport(state="succeeded")
BOTH = [("started", None), "freed"]


class Queue(QueuedServer):
    """A driver of a server that holds reports by id, and whose events a test tells; one that is an error is raised."""

    def __init__(self, reports=(), events=(), submission=None, adopts=True):
        super().__init__(None)
        self.reports = copy.deepcopy(dict(reports))
        self.events = list(events)
        self.submission = submission
        self.adopts = adopts
        self.posted, self.withdrawn = [], []

    capacity = liveness_token = _waiting = None

    async def prepare(self, task, inputs):
        return task

    def _can_adopt(self, prepared):
        return self.adopts

    async def _submit(self, job):
        if self.submission:
            raise self.submission
        self.posted.append(job.server_id)
        self.reports.setdefault(job.server_id, DONE)

    async def _follow(self, job):
        event = self.events.pop(0) if self.events else None
        if isinstance(event, Exception):
            raise event
        return event

    async def _report(self, server_id):
        report = self.reports.get(server_id)
        if isinstance(report, Exception):
            raise report
        return report.pop(0) if isinstance(report, list) else report

    async def _result(self, job, report):
        return Result(outputs=[], parameters={"of": job.server_id})

    async def _withdraw(self, server_id):
        self.withdrawn.append(server_id)


async def run(driver, claim=1):
    """The id on the server of the run that gave the result, and what was said meanwhile."""
    said = []
    result = await asyncio.wait_for(driver.run(None, JOB, claim, signals(said)), 60)
    return result.parameters["of"], said


@pytest.mark.parametrize(
    "events", [[DONE], [ServerError(), DONE], [ServerError(), ServerError()], [None, ServerError(), None]]
)
async def test_a_job_ends_by_its_events_or_where_they_break_off_by_questions(events):
    driver = Queue({FIRST: [RUNNING, DONE]}, events)
    begun = ("started", None if DONE in events[:1] else 7)
    assert await run(driver) == (FIRST, [begun, "freed"])
    assert (driver.posted, driver.withdrawn) == ([FIRST], [])


@pytest.mark.parametrize(
    ("report", "words"), [(None, "has lost the job; it was restarted"), (ServerError("Nonsense."), "Nonsense")]
)
async def test_a_job_that_the_server_has_lost_or_speaks_nonsense_of_does_not_run_on(report, words):
    driver = Queue({FIRST: report})
    with pytest.raises(ServerError, match=words):
        await run(driver)
    assert driver.withdrawn == [FIRST]


@pytest.mark.parametrize(("error", "withdrawn"), [(ServerError(), [FIRST]), (Rejected(), [])])
async def test_a_job_is_withdrawn_unless_the_task_is_to_blame_whose_failure_is_adopted_too(error, withdrawn):
    driver = Queue(submission=error)
    with pytest.raises(type(error)):
        await run(driver)
    assert driver.withdrawn == withdrawn
    driver = Queue({FIRST: JobReport(state="failed", error=error)})
    with suppress(Rejected):
        await run(driver, claim=2)
    assert driver.posted == ([SECOND] if withdrawn else [])


@pytest.mark.parametrize("left", [[JobReport(state="waiting"), DONE], [RUNNING, DONE], [DONE, DONE]])
@pytest.mark.parametrize("left_by", [FIRST, SECOND])
async def test_what_an_earlier_claim_left_is_adopted_and_nothing_is_drawn_again(left, left_by):
    driver = Queue({left_by: left})
    assert await run(driver, claim=3) == (left_by, BOTH)
    assert driver.posted == []


@pytest.mark.parametrize(
    ("left", "adopts"),
    [(JobReport(state="cancelled", error=ServerError()), True), (DONE, False), (None, True)],
)
async def test_a_run_that_need_not_end_the_same_or_cannot_be_adopted_is_begun_again(left, adopts):
    assert (await run(Queue({FIRST: left}, adopts=adopts), claim=2))[0] == SECOND


async def test_a_job_is_interrupted_under_every_claim_it_may_run_under():
    driver = Queue()
    await driver.interrupt(JOB, 3)
    assert driver.withdrawn == [THIRD, SECOND, FIRST]
    await driver.interrupt(JOB, 1000)
    assert len(driver.withdrawn) == 3 + MAX_EARLIER_CLAIMS


async def test_progress_is_known_while_a_job_has_the_gpu_and_forgotten_after_it():
    seen = []

    class Half(QueuedJob):
        progress = Progress(fraction=0.5)

    class Server(Queue):
        job_type = Half

        async def _follow(self, job):
            seen.append(await self.progress(JOB))
            return await super()._follow(job)

    driver = Server({FIRST: [RUNNING, JobReport(state="encoding"), DONE]})
    await run(driver)
    assert (seen, await driver.progress(JOB)) == ([None, Half.progress, None], None)
