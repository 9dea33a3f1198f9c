"""What jobs leave on a ComfyUI server, and who removes it."""

import asyncio
import hashlib
import json

import pytest
from aiohttp import web
from driverkit import PNG, client_of, task_of

from queue_agent.media import identify
from runtimes.comfyui.driver.executor import ComfyUI

NAME = f"{hashlib.sha256(PNG).hexdigest()[:32]}.png"
LISTED = {"filename": "a.png", "subfolder": "run", "type": "output"}
PREVIEW = {"filename": "t.png", "subfolder": "", "type": "temp"}
UPLOAD = {"filename": NAME, "subfolder": "task-inputs", "type": "input"}
DECLARATION = {"LoadImage": {"input": {"required": {"image": [["a"], {"image_upload": True}]}}}}


class Server:
    """Notes its requests; has the platform's route unless it is somebody's own ComfyUI."""

    def __init__(self):
        self.told = []
        self.free_bytes = 50 * 2**20
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.has_route = True

    async def serve(self, request):
        match request.method, request.path.split("/")[1:]:
            case "GET", ["history", name]:
                answer = {name: {"outputs": {"1": {"images": [LISTED, PREVIEW]}}}}
            case "GET", ["object_info", _]:
                answer = DECLARATION
            case "POST", ["upload", "image"]:
                form = await request.post()
                self.told.append(("upload", form["image"].filename))
                answer = {"name": form["image"].filename, "subfolder": form["subfolder"], "type": "input"}
            case "POST", ["history"]:
                self.told.append(("history", (await request.json())["delete"]))
                answer = {}
            case "POST", ["sd-on-eks", "discard"] if self.has_route:
                await self.go_on.wait()
                self.told.append(("discard", *json.loads(await request.read()).values()))
                answer = {"removed": 1, "free_bytes": self.free_bytes, "total_bytes": 100 * 2**20}
            case _:
                raise web.HTTPNotFound
        return web.json_response(answer)


class Inputs:
    async def fetch(self, inputs):
        return {one.text: identify(PNG) for one in inputs}


@pytest.fixture
async def server():
    return Server()


@pytest.fixture
async def driver(server):
    async with client_of(web.route("*", "/{path:.*}", server.serve)) as client:
        yield ComfyUI(client)


async def prepared(driver, run=None):
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "http://x/a.png"}}}
    workflow = await driver.prepare(task_of(graph, "pipeline"), Inputs())
    if run:
        workflow.name_files_after(run)
    return workflow


async def discard(driver, workflow, *, over=True):
    driver.discard(workflow, over=over)
    await driver._leftovers.aclose()


@pytest.mark.parametrize(
    ("over", "removed"),
    [
        (True, [("history", ["run"]), ("discard", [UPLOAD, LISTED, PREVIEW], ["run"])]),
        (False, [("discard", [UPLOAD], [])]),
    ],
)
async def test_all_that_a_job_left_is_removed_once_it_is_over_and_till_then_it_can_be_adopted(
    server, driver, over, removed
):
    await discard(driver, await prepared(driver, "run"), over=over)
    assert server.told == [("upload", NAME), *removed]


async def test_a_file_that_two_jobs_need_stays_until_both_are_over(server, driver):
    first, second = await prepared(driver), await prepared(driver)
    await discard(driver, first)
    assert [what for what, *_ in server.told] == ["upload", "upload"]
    await discard(driver, second)
    assert server.told[-1] == ("discard", [UPLOAD], [])


async def test_a_file_is_not_uploaded_again_while_it_is_being_removed(server, driver):
    server.go_on.clear()
    driver.discard(await prepared(driver), over=True)
    again = asyncio.create_task(prepared(driver))
    await asyncio.sleep(0.05)
    server.go_on.set()
    await again
    assert [what for what, *_ in server.told] == ["upload", "discard", "upload"]


async def test_on_somebodys_own_server_files_stay_and_histories_are_forgotten(server, driver):
    server.has_route = False
    for name in ("one", "two"):
        await discard(driver, await prepared(driver, name))
    assert [told for told in server.told if told[0] == "history"] == [("history", ["one"]), ("history", ["two"])]


async def test_a_disk_is_said_once_to_be_nearly_full_before_it_is(server, driver, caplog):
    for free_mib in (10, 9, 8):
        server.free_bytes = free_mib * 2**20
        await discard(driver, await prepared(driver, "run"))
        assert caplog.text.count("the model server's disk is nearly full") == (free_mib < 10)
