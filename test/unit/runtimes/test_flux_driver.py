"""The driver against a flux server of a few lines: what it posts, follows and reads, and what it knows of it."""

import asyncio
import json
import uuid

import pytest
from aiohttp import web
from driverkit import JOB, client_of, signals, task_of

from queue_agent.errors import ServerError
from queue_agent.ports import Capacity
from runtimes.flux.driver import executor as driver_module
from runtimes.flux.driver.executor import Flux

FIRST = str(uuid.uuid5(uuid.UUID(JOB), "1"))
PICTURES = [{"number": 1, "kind": "picture", "seed": 7}, {"number": 2, "kind": "picture", "seed": 8}]
DONE = {"state": "succeeded", "outputs": PICTURES, "parameters": {"steps": 4}, "timings_s": {"q": 1}}


class Fake:
    """The server: its one job, what it answers, and the events that a test tells."""

    def __init__(self):
        self.job = None
        self.posted, self.deleted = [], []
        self.health = {"live": True, "ready": True, "workers": [{"state": "ready", "restarts": 0}]}
        self.events = asyncio.Queue()
        self.routes = [
            web.post("/jobs", self._post),
            web.get("/jobs", self._list),
            web.get("/jobs/{job}", self._get),
            web.delete("/jobs/{job}", self._delete),
            web.get("/jobs/{job}/events", self._events),
            web.get("/jobs/{job}/outputs/{number}", self._output),
            web.get("/health", self._health),
        ]

    async def _post(self, request):
        self.posted.append(await request.read())
        self.job = {"state": "waiting"}
        return web.json_response({"state": "waiting"}, status=202)

    async def _list(self, _request):
        return web.json_response({"waiting": [FIRST], "running": ["another"]})

    async def _get(self, _request):
        return web.json_response(self.job or {}, status=200 if self.job else 404)

    async def _delete(self, request):
        self.deleted.append(request.match_info["job"])
        return web.Response(status=204)

    async def _events(self, request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        kind = None
        while kind != "end":
            kind, data = await self.events.get()
            await response.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
        return response

    async def _output(self, request):
        number = request.match_info["number"]
        return web.Response(body=f"picture {number}".encode(), status=200 if number == "1" else 404)

    async def _health(self, _request):
        return web.json_response(self.health)


@pytest.fixture
async def fake():
    return Fake()


@pytest.fixture
async def driver(fake):
    async with client_of(*fake.routes) as client:
        yield Flux(client)


@pytest.fixture
def run(driver):
    async def run(said=None):
        prepared = await driver.prepare(task_of({"prompt": "a"}), None)
        return await driver.run(prepared, JOB, 1, signals([] if said is None else said))

    return run


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (some conditions are the driver's)
            await asyncio.sleep(0.005)


async def read(output):
    async with output.content() as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_job_is_posted_followed_and_its_pictures_are_read_when_they_are_stored(fake, driver, run):
    fake.health["model"] = {"source": "the model"}
    await driver.wait_until_ready()
    await fake.events.put(("end", DONE | {"warnings": ["w", *["w" * 1000] * 1000]}))
    result = await run()
    assert json.loads(fake.posted[0]) == {"job_id": FIRST, "task_type": "text-to-image", "request": {"prompt": "a"}}
    assert await read(result.outputs[0]) == b"picture 1"
    with pytest.raises(ServerError, match="404 to a file it has saved"):
        await read(result.outputs[1])
    assert [output.seed for output in result.outputs] == [7, 8]
    assert (result.answer["seeds"], result.answer["timings_s"], result.answer["warnings"][0]) == ([7, 8], {"q": 1}, "w")
    assert len(json.dumps(result.answer)) < 50_000, "a manifest bears no more warnings"
    assert (result.parameters, result.model, fake.deleted) == ({"steps": 4}, "the model", [])


async def test_silence_is_ended_by_a_question(fake, run, monkeypatch):
    monkeypatch.setattr(driver_module, "_SILENCE_S", 0.05)
    running = asyncio.create_task(run())
    await until(lambda: fake.job)
    fake.job = DONE
    assert len((await running).outputs) == 2


async def test_what_waits_in_the_servers_queue_is_withdrawn_before_the_first_job(fake, driver):
    await driver.clear()
    assert fake.deleted == [FIRST]


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


async def test_steps_and_restarts_of_workers_are_signs_of_life_and_mere_time_is_none(fake, driver, run):
    said = []
    running = asyncio.create_task(run(said))
    await fake.events.put(("state", {"state": "running"}))
    await until(lambda: said)
    before = await driver.liveness_token()
    assert await driver.liveness_token() == before
    await fake.events.put(("freed", {}))
    await until(lambda: len(said) == 2)
    after_event = await driver.liveness_token()
    fake.health |= {"workers": [{"state": "ready", "restarts": 1}]}
    assert before != after_event != await driver.liveness_token()
    await fake.events.put(("end", DONE))
    await running
