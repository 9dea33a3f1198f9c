"""The driver against a server of a few lines that does what each test tells it to."""

import asyncio
import json
import uuid

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from driverkit import JOB

from queue_agent.errors import Rejected, ServerAway, ServerError
from queue_agent.ports import Capacity, RunSignals
from runtimes._http import ModelServerClient
from runtimes.flux.driver import executor as driver_module
from runtimes.flux.driver.executor import Flux

FIRST, SECOND, THIRD = (str(uuid.uuid5(uuid.UUID(JOB), str(claim))) for claim in (1, 2, 3))
PICTURES = [{"number": 1, "kind": "picture", "seed": 7}, {"number": 2, "kind": "picture", "seed": 8}]
DONE = {"state": "succeeded", "outputs": PICTURES, "parameters": {"steps": 4}, "warnings": ["w"], "timings_s": {"q": 1}}
ENDED = ("succeeded", "failed", "cancelled")


class Fake:
    """The server: jobs by id, and the events that are told of them."""

    def __init__(self):
        self.jobs = {}
        self.posted = []
        self.bodies = []
        self.deleted = []
        self.followed = self.asked = 0
        self.refusal = None
        self.health = {"live": True, "ready": True, "workers": [{"state": "ready", "restarts": 0}]}
        self._told = {}
        self._changed = asyncio.Condition()

    async def tell(self, job, kind, **changes):
        """Change a job and say so; kind "break" hangs up instead."""
        async with self._changed:
            self.jobs[job] = self.jobs.get(job, {}) | changes
            self._told.setdefault(job, []).append((kind, changes))
            self._changed.notify_all()

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 (some conditions are the driver's)
                await asyncio.sleep(0.005)

    async def post(self, request):
        body = await request.json()
        self.bodies.append(await request.read())
        if self.refusal:
            return web.json_response(self.refusal[1], status=self.refusal[0])
        self.posted.append(body)
        self.jobs.setdefault(body["job_id"], {"state": "waiting"})
        return web.json_response({"job_id": body["job_id"], "state": "waiting"}, status=202)

    async def list(self, _request):
        waiting = [job for job, report in self.jobs.items() if report["state"] == "waiting"]
        running = [job for job, report in self.jobs.items() if report["state"] == "running"]
        return web.json_response({"waiting": waiting, "running": running})

    async def get(self, request):
        self.asked += 1
        report = self.jobs.get(request.match_info["job"])
        return web.json_response(report or {"detail": "unknown"}, status=200 if report else 404)

    async def delete(self, request):
        job = request.match_info["job"]
        self.deleted.append(job)
        return web.Response(status=204 if self.jobs.pop(job, None) else 404)

    async def events(self, request):
        job = request.match_info["job"]
        if job not in self.jobs:
            return web.json_response({"detail": "unknown"}, status=404)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        told = len(self._told.get(job, ()))
        await _write(response, "state", {"state": self.jobs[job]["state"]})
        self.followed += 1
        if self.jobs[job]["state"] in ENDED:
            await _write(response, "end", self.jobs[job])
            return response
        while True:
            kind, data = await self._next(job, told)
            told += 1
            if kind == "break":
                request.transport.abort()
                return response
            await _write(response, kind, data)
            if kind == "end":
                return response

    async def _next(self, job, told):
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._told.get(job, ())) > told)
        return self._told[job][told]

    async def output(self, request):
        if request.match_info["job"] not in self.jobs:
            return web.json_response({"detail": "unknown"}, status=404)
        return web.Response(body=f"picture {request.match_info['number']}".encode())

    async def get_health(self, _request):
        return web.json_response(self.health)

    def app(self):
        app = web.Application(client_max_size=2**28)
        app.add_routes(
            [
                web.post("/jobs", self.post),
                web.get("/jobs", self.list),
                web.get("/jobs/{job}", self.get),
                web.delete("/jobs/{job}", self.delete),
                web.get("/jobs/{job}/events", self.events),
                web.get("/jobs/{job}/outputs/{number}", self.output),
                web.get("/health", self.get_health),
            ]
        )
        return app


async def _write(response, kind, data):
    await response.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())


@pytest.fixture
async def fake():
    server = Fake()
    async with TestServer(server.app()) as running:
        server.url = str(running.make_url("/"))
        yield server


@pytest.fixture
async def driver(fake):
    made = Flux(ModelServerClient(fake.url, "/health"))
    yield made
    await made.aclose()


class Run:
    """A run of a task by the driver, with what it tells."""

    def __init__(self, driver, task, claim=1):
        self.said = []
        self._signals = RunSignals(lambda batch=None: self.said.append("started"), lambda: self.said.append("freed"))
        self.task = asyncio.create_task(self._run(driver, task, claim))

    async def _run(self, driver, task, claim):
        return await driver.run(await driver.prepare(task, None), JOB, claim, self._signals)


@pytest.fixture
def begin(driver, make_task):
    return lambda claim=1: Run(driver, make_task({"prompt": "a"}), claim)


async def read(output):
    async with output.content() as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_job_is_posted_under_its_claims_id_and_its_pictures_are_read_when_they_are_wanted(fake, driver, begin):
    fake.health |= {"model": {"source": "the model"}}
    await driver.wait_until_ready()
    run = begin(claim=2)
    await fake.until(lambda: fake.followed)
    assert fake.posted == [{"job_id": SECOND, "task_type": "text-to-image", "request": {"prompt": "a"}}]
    await fake.tell(SECOND, "end", **DONE)
    result = await run.task
    assert [(await read(output), output.seed) for output in result.outputs] == [(b"picture 1", 7), (b"picture 2", 8)]
    assert result.parameters == {"steps": 4}
    assert result.answer == {"seeds": [7, 8], "timings_s": {"q": 1}, "warnings": ["w"]}
    assert (fake.asked, fake.deleted, result.model) == (1, [], "the model")  # asked for the earlier claim's job
    del fake.jobs[SECOND]
    with pytest.raises(ServerError, match="404 when asked for a finished job's picture"):
        await read(result.outputs[0])


async def test_a_job_has_no_more_warnings_than_a_manifest_bears(fake, begin):
    run = begin()
    await fake.until(lambda: fake.followed)
    await fake.tell(FIRST, "end", **DONE | {"warnings": ["w" * 1000] * 1000})
    assert len(json.dumps((await run.task).answer)) < 50_000


async def test_the_next_job_may_begin_as_soon_as_the_gpu_is_free(fake, begin):
    run = begin()
    await fake.until(lambda: fake.followed)
    assert run.said == []
    await fake.tell(FIRST, "state", state="running")
    await fake.until(lambda: run.said == ["started"])
    await fake.tell(FIRST, "freed")
    await fake.until(lambda: run.said == ["started", "freed"])
    assert not run.task.done()
    await fake.tell(FIRST, "end", **DONE)
    await run.task
    assert run.said == ["started", "freed"]


async def test_events_that_break_off_are_followed_again(fake, begin):
    run = begin()
    await fake.until(lambda: fake.followed)
    await fake.tell(FIRST, "break")
    await fake.until(lambda: fake.followed == 2)
    await fake.tell(FIRST, "end", **DONE)
    assert len((await run.task).outputs) == 2
    assert len(fake.posted) == 1


async def test_an_end_that_nobody_told_is_found(fake, begin):
    run = begin()
    await fake.until(lambda: fake.followed)
    fake.jobs[FIRST] = DONE
    await fake.tell(FIRST, "break")
    assert len((await run.task).outputs) == 2
    assert (run.said, fake.followed) == (["started", "freed"], 1)


async def test_silence_is_ended_by_a_question(fake, begin, monkeypatch):
    monkeypatch.setattr(driver_module, "_SILENCE_S", 0.05)
    run = begin()
    await fake.until(lambda: fake.followed)
    fake.jobs[FIRST] = DONE
    assert len((await run.task).outputs) == 2


async def test_a_restarted_server_that_does_not_know_the_job_is_a_passing_fault(fake, begin):
    run = begin()
    await fake.until(lambda: fake.followed)
    await fake.tell(FIRST, "break")
    del fake.jobs[FIRST]
    with pytest.raises(ServerError, match="restarted"):
        await run.task


async def test_a_job_of_which_the_server_says_nonsense_does_not_run_on(fake, begin):
    run = begin()
    await fake.until(lambda: fake.followed)
    await fake.tell(FIRST, "end", state="dancing")
    with pytest.raises(ServerError, match="unexpected response"):
        await run.task
    assert fake.deleted == [FIRST]


@pytest.mark.parametrize(
    ("answer", "kind", "withdrawn"),
    [
        ((422, {"detail": [{"field": "width", "problem": "must be a multiple of 16"}]}), Rejected, []),
        ((503, {"detail": "loading"}), ServerAway, [FIRST]),
        ((409, {"detail": "the id belongs to another request"}), ServerError, [FIRST]),
    ],
)
async def test_a_job_that_is_posted_twice_has_the_same_bytes_and_is_withdrawn_unless_the_task_is_to_blame(
    fake, begin, answer, kind, withdrawn
):
    fake.refusal = answer
    for _ in range(2):
        with pytest.raises(kind):
            await begin().task
    assert len(set(fake.bodies)) == 1
    assert fake.deleted == withdrawn * 2


@pytest.mark.parametrize(
    "left",
    [
        {"state": "waiting"},
        {"state": "running"},
        {"state": "encoding"},
        DONE,
        {"state": "failed", "error": {"code": "refused", "message": "No."}},
    ],
)
@pytest.mark.parametrize("left_by", [FIRST, SECOND])
async def test_what_a_former_claim_left_is_adopted_and_nothing_is_drawn_again(fake, begin, left, left_by):
    fake.jobs[left_by] = left
    run = begin(claim=3)
    if left["state"] not in ENDED:
        await fake.until(lambda: fake.followed)
        await fake.tell(left_by, "end", **DONE)
    await asyncio.wait({run.task}, timeout=60)
    assert (type(run.task.exception()), fake.posted) == (Rejected if left["state"] == "failed" else type(None), [])
    assert run.said == ["started", "freed"]


@pytest.mark.parametrize(
    "left", [{"state": "cancelled"}, {"state": "failed", "error": {"code": "out_of_memory", "message": "No."}}]
)
async def test_an_ending_that_need_not_be_the_same_again_is_not_adopted(fake, begin, left):
    fake.jobs[FIRST] = left
    run = begin(claim=2)
    await fake.until(lambda: fake.posted)
    await fake.tell(SECOND, "end", **DONE)
    assert len((await run.task).outputs) == 2


async def test_a_job_is_interrupted_under_every_claim_it_may_run_under(fake, driver):
    fake.jobs = {FIRST: {"state": "running"}, THIRD: {"state": "waiting"}}
    await driver.interrupt(JOB, 3)
    assert fake.jobs == {}


async def test_what_a_former_agent_left_waiting_is_withdrawn_and_what_runs_is_left_to_be_adopted(fake, driver):
    fake.jobs = {FIRST: {"state": "running"}, SECOND: {"state": "waiting"}, THIRD: {"state": "succeeded"}}
    await driver.clear()
    assert fake.deleted == [SECOND]


async def test_progress_is_known_while_a_job_has_the_gpu(fake, driver, begin):
    run = begin()
    await fake.until(lambda: fake.followed)
    assert await driver.progress(JOB) is None
    await fake.tell(FIRST, "progress", state="running", progress=0.25)
    await fake.until(lambda: run.said)
    assert 0.25 <= await driver.progress(JOB) <= 0.5
    await fake.tell(FIRST, "freed")
    await fake.until(lambda: len(run.said) == 2)
    assert await driver.progress(JOB) is None
    await fake.tell(FIRST, "end", **DONE)
    await run.task
    assert driver._watches == {}


async def test_a_server_tells_once_it_is_ready_how_many_jobs_it_can_have(fake, driver):
    assert driver.capacity == Capacity(ahead=True)
    ready, gone = {"state": "ready", "restarts": 0}, {"state": "down", "restarts": 5, "given_up": True}
    fake.health |= {"workers": [gone, ready, ready], "model": {"source": "m", "max_batch": 3}}
    await driver.wait_until_ready()
    assert driver.capacity == Capacity(devices=2, batch=3, ahead=True)


async def test_a_server_whose_health_makes_no_sense_is_waited_for(fake, driver):
    sane, fake.health = fake.health, {"live": "perhaps"}
    ready = asyncio.create_task(driver.wait_until_ready())
    await asyncio.sleep(0.05)
    assert not ready.done()
    fake.health = sane
    await asyncio.wait_for(ready, 60)


async def test_steps_and_restarts_of_workers_are_signs_of_life_and_mere_time_is_none(fake, driver, begin):
    run = begin()
    await fake.tell(FIRST, "state", state="running")
    await fake.until(lambda: run.said)
    before = await driver.liveness_token()
    assert await driver.liveness_token() == before
    await fake.tell(FIRST, "progress", progress=0.25)
    await fake.until(lambda: driver._watches[JOB].fraction)
    after_step = await driver.liveness_token()
    fake.health |= {"workers": [{"state": "ready", "restarts": 1}]}
    assert before != after_step != await driver.liveness_token()
    await fake.tell(FIRST, "end", **DONE)
    await run.task
