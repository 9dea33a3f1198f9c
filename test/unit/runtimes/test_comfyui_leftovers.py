"""What jobs leave on a ComfyUI server, and who removes it."""

import asyncio
import hashlib
import uuid

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from driverkit import JOB, PNG

from queue_agent.media import identify
from runtimes._http import ModelServerClient
from runtimes.comfyui.driver.executor import ComfyUI
from runtimes.comfyui.driver.leftovers import Leftovers

NAME = f"{hashlib.sha256(PNG).hexdigest()[:32]}.png"
LISTED = {"filename": "a.png", "subfolder": "run", "type": "output"}
PREVIEW = {"filename": "t.png", "subfolder": "", "type": "temp"}
UPLOAD = {"filename": NAME, "subfolder": "task-inputs", "type": "input"}


class Server:
    """Notes what it is told; has the platform's route or, as anybody's own ComfyUI, has it not."""

    def __init__(self, *, removes_files):
        self.told = []
        self.free_bytes = 50 * 2**20
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.app = web.Application()
        self.app.router.add_get("/history/{id}", self._history)
        self.app.router.add_post("/history", self._forget)
        self.app.router.add_get("/object_info/{name}", self._info)
        self.app.router.add_post("/upload/image", self._upload)
        if removes_files:
            self.app.router.add_post("/sd-on-eks/discard", self._discard)

    async def _history(self, request):
        name = request.match_info["id"]
        return web.json_response({name: {"outputs": {"1": {"images": [LISTED, PREVIEW]}}}})

    async def _forget(self, request):
        self.told.append(("history", (await request.json())["delete"]))
        return web.Response()

    async def _info(self, request):
        return web.json_response({"LoadImage": {"input": {"required": {"image": [["a"], {"image_upload": True}]}}}})

    async def _upload(self, request):
        form = await request.post()
        self.told.append(("upload", form["image"].filename))
        return web.json_response({"name": form["image"].filename, "subfolder": form["subfolder"], "type": "input"})

    async def _discard(self, request):
        body = await request.json()
        await self.go_on.wait()
        self.told.append(("discard", body["files"], body["folders"]))
        return web.json_response({"removed": 1, "free_bytes": self.free_bytes, "total_bytes": 100 * 2**20})


class Inputs:
    async def fetch(self, inputs):
        return {one.text: identify(PNG) for one in inputs}


@pytest.fixture(params=[True], ids=["the image's server"])
async def server(request):
    server = Server(removes_files=request.param)
    async with TestServer(server.app) as running:
        server.url = str(running.make_url("/"))
        yield server


@pytest.fixture
async def driver(server):
    driver = ComfyUI(ModelServerClient(server.url, "/"))
    yield driver
    await driver.aclose()


async def prepared(driver, make_task):
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "http://x/a.png"}}}
    return await driver.prepare(make_task(graph, "pipeline"), Inputs())


async def settle(driver):
    while driver._leftovers._removals:
        await asyncio.wait(list(driver._leftovers._removals))


async def test_all_that_a_job_needed_or_left_is_removed_once_it_is_over(server, driver, make_task):
    workflow = await prepared(driver, make_task)
    workflow.name_files_after("run")
    driver.discard(workflow, over=True)
    await settle(driver)
    assert server.told == [
        ("upload", NAME),
        ("history", ["run"]),
        ("discard", [UPLOAD, LISTED, PREVIEW], ["run"]),
    ]


async def test_a_job_that_will_run_again_can_be_adopted_from_what_it_left(server, driver, make_task):
    workflow = await prepared(driver, make_task)
    workflow.name_files_after("run")
    driver.discard(workflow, over=False)
    await settle(driver)
    assert server.told == [("upload", NAME), ("discard", [UPLOAD], [])]


async def test_what_nobody_came_back_for_is_removed_with_a_later_jobs(server, driver, monkeypatch):
    leftovers = Leftovers(driver._client)
    now_s = [0.0]
    monkeypatch.setattr("runtimes.comfyui.driver.leftovers.monotonic", lambda: now_s[0])
    leftovers.keep("first")
    now_s[0] = 3601.0
    leftovers.discard([], "second")
    await leftovers.aclose()
    assert ("history", ["first", "second"]) in server.told


async def test_a_file_that_two_jobs_need_stays_until_both_are_over(server, driver, make_task):
    first, second = await prepared(driver, make_task), await prepared(driver, make_task)
    driver.discard(first, over=True)
    await settle(driver)
    assert [what for what, *_ in server.told] == ["upload", "upload"]
    driver.discard(second, over=True)
    await settle(driver)
    assert server.told[-1] == ("discard", [UPLOAD], [])


async def test_a_file_is_not_uploaded_again_while_it_is_being_removed(server, driver, make_task):
    server.go_on.clear()
    driver.discard(await prepared(driver, make_task), over=True)
    again = asyncio.create_task(prepared(driver, make_task))
    await asyncio.sleep(0.05)
    server.go_on.set()
    await again
    assert [what for what, *_ in server.told] == ["upload", "discard", "upload"]


@pytest.mark.parametrize("server", [False], indirect=True, ids=["somebody's own server"])
async def test_on_somebodys_own_server_files_stay_and_it_is_asked_once(server, driver, make_task):
    for name in ("one", "two"):
        workflow = await prepared(driver, make_task)
        workflow.name_files_after(name)
        driver.discard(workflow, over=True)
        await settle(driver)
    assert [told for told in server.told if told[0] == "history"] == [("history", ["one"]), ("history", ["two"])]
    assert not driver._leftovers._server_removes_files


async def test_a_server_that_is_gone_costs_no_job_its_ending(make_task):
    driver = ComfyUI(ModelServerClient("http://127.0.0.1:1", "/"))
    workflow_id = str(uuid.uuid5(uuid.UUID(JOB), "1"))
    driver._leftovers.discard([], workflow_id)
    await driver.aclose()
    assert driver._leftovers._removals == {}


async def test_a_class_that_looks_like_a_path_is_not_asked_for(server, driver):
    assert await driver._declaration("..") == {}
    assert await driver._declaration(".") == {}


@pytest.mark.parametrize(("free_mib", "warned"), [(50, False), (10, False), (9, True)])
async def test_a_disk_is_said_to_be_nearly_full_before_it_is(server, driver, caplog, free_mib, warned):
    server.free_bytes = free_mib * 2**20
    for name in ("one", "two"):
        driver._leftovers.discard([], name)
        await settle(driver)
    assert caplog.text.count("the model server's disk is nearly full") == warned
