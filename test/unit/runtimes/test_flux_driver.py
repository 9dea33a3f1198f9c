"""The driver against a server of a few lines that does what each test tells it to."""

import asyncio
import json
import uuid

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from driverkit import JOB, base64_picture

from queue_agent.errors import InputError, Rejected, ServerAway, ServerError, ServerLoading
from queue_agent.inputs.fetcher import InputFetcher
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
        async with asyncio.timeout(2):
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


async def test_a_job_is_posted_under_its_claims_id_and_its_pictures_are_read_when_they_are_wanted(fake, begin):
    run = begin(claim=2)
    await fake.until(lambda: fake.followed)
    assert fake.posted == [{"job_id": SECOND, "task_type": "text-to-image", "request": {"prompt": "a"}}]
    await fake.tell(SECOND, "end", **DONE)
    result = await run.task
    assert [(await read(output), output.seed) for output in result.outputs] == [(b"picture 1", 7), (b"picture 2", 8)]
    assert result.parameters == {"steps": 4}
    assert result.answer == {"seeds": [7, 8], "timings_s": {"q": 1}, "warnings": ["w"]}
    assert (fake.asked, fake.deleted) == (1, [])  # by the former claim's job


async def test_a_job_has_no_more_warnings_than_a_manifest_bears(fake, begin):
    run = begin()
    await fake.until(lambda: fake.followed)
    await fake.tell(FIRST, "end", **DONE | {"warnings": ["w" * 1000] * 1000})
    assert len(json.dumps((await run.task).answer)) < 50_000


async def test_the_server_is_probed_and_a_job_withdrawn_while_more_jobs_run_than_any_server_has_places_for(
    fake, driver, make_task
):
    prepared = await driver.prepare(make_task({"prompt": "a"}), None)
    signals = RunSignals(lambda batch=None: None, lambda: None)
    jobs = [str(uuid.uuid4()) for _ in range(40)]
    runs = [asyncio.create_task(driver.run(prepared, job, 1, signals)) for job in jobs]
    await fake.until(lambda: fake.followed == len(jobs))
    async with asyncio.timeout(5):
        await driver.liveness_token()
        await driver.interrupt(jobs[-1], 1)
    assert len(fake.deleted) == 1
    for run in runs:
        run.cancel()
    await asyncio.wait(runs)


async def test_a_picture_that_the_server_has_no_more_is_its_fault(fake, begin):
    fake.jobs[FIRST] = DONE
    (output, _) = (await begin(claim=2).task).outputs
    del fake.jobs[FIRST]
    with pytest.raises(ServerError, match="404 when asked for a finished job's picture"):
        await read(output)


async def test_an_end_without_pictures_is_the_servers_fault(fake, begin):
    fake.jobs[FIRST] = {"state": "succeeded"}
    with pytest.raises(ServerError, match="lists no picture"):
        await begin(claim=2).task


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


async def test_a_refusal_is_told_in_the_servers_words(fake, begin):
    fake.refusal = 422, {"detail": [{"field": "width", "problem": "must be a multiple of 16"}]}
    with pytest.raises(Rejected, match="width must be a multiple of 16"):
        await begin().task


async def test_a_job_that_is_posted_again_under_its_claim_has_the_same_bytes(fake, begin):
    fake.refusal = 503, {"detail": "loading"}
    for _ in range(2):
        with pytest.raises(ServerAway):
            await begin().task
    assert len(fake.bodies) == 2
    assert fake.bodies[0] == fake.bodies[1]


async def test_an_id_that_the_server_has_for_another_request_is_withdrawn_and_no_fault_of_the_task(fake, begin):
    fake.refusal = 409, {"detail": "a job of this id is here already, and its request is another one"}
    with pytest.raises(ServerError, match="409"):
        await begin().task
    assert fake.deleted == [FIRST]


async def test_a_server_that_is_not_ready_never_got_the_job(fake, begin):
    fake.refusal = 503, {"detail": "loading"}
    with pytest.raises(ServerAway):
        await begin().task


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
    await asyncio.wait({run.task}, timeout=2)
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
    fake.health |= {"workers": [{"state": "ready", "restarts": 0}] * 2, "model": {"source": "m", "max_batch": 3}}
    await driver.wait_until_ready()
    assert driver.capacity == Capacity(devices=2, batch=3, ahead=True)


async def test_a_worker_that_was_given_up_is_no_gpu(fake, driver):
    ready, gone = {"state": "ready", "restarts": 0}, {"state": "down", "restarts": 5, "given_up": True}
    fake.health |= {"workers": [gone, ready, gone], "model": {"source": "m", "max_batch": 1}}
    await driver.wait_until_ready()
    assert driver.capacity == Capacity(devices=1, batch=1, ahead=True)


async def test_a_server_whose_health_makes_no_sense_is_waited_for(fake, driver):
    sane, fake.health = fake.health, {"live": "perhaps"}
    ready = asyncio.create_task(driver.wait_until_ready())
    await asyncio.sleep(0.05)
    assert not ready.done()
    fake.health = sane
    await asyncio.wait_for(ready, 2)


async def test_the_model_that_drew_is_named(fake, driver, begin):
    fake.health |= {"model": {"source": "black-forest-labs/FLUX.1-schnell"}}
    await driver.wait_until_ready()
    fake.jobs[FIRST] = DONE
    assert (await begin(claim=2).task).model == "black-forest-labs/FLUX.1-schnell"


async def test_every_step_is_a_sign_of_life_and_mere_time_is_none(fake, driver, begin):
    run = begin()
    await fake.tell(FIRST, "state", state="running")
    await fake.until(lambda: run.said)
    before = await driver.liveness_token()
    assert await driver.liveness_token() == before
    await fake.tell(FIRST, "progress", progress=0.25)
    await fake.until(lambda: driver._watches[JOB].fraction)
    assert await driver.liveness_token() != before
    await fake.tell(FIRST, "end", **DONE)
    await run.task


async def test_a_worker_that_is_back_is_a_sign_of_life(fake, driver):
    before = await driver.liveness_token()
    fake.health |= {"workers": [{"state": "ready", "restarts": 1}]}
    assert await driver.liveness_token() != before


async def test_a_server_whose_only_worker_loads_its_model_again_takes_nothing_yet_lives(fake, driver):
    fake.health |= {"ready": False, "workers": [{"state": "starting", "restarts": 1}]}
    with pytest.raises(ServerLoading):
        await driver.liveness_token()


async def test_a_server_without_workers_is_lost(fake, driver):
    fake.health |= {"live": False, "ready": False, "workers": [{"state": "down", "restarts": 9}]}
    with pytest.raises(ServerError, match="no worker left"):
        await driver.liveness_token()


async def test_a_picture_in_the_task_itself_that_is_too_large_to_be_unpacked_never_reaches_the_server(
    driver, make_task
):
    content = {"instructions": "a", "images": [base64_picture(9000)]}
    with pytest.raises(InputError, match=r"^images\[0\]: "):
        await driver.prepare(
            make_task(content, "edit"), InputFetcher(web=None, store=None, bucket="b", input_buckets=frozenset())
        )
