"""Drivers before servers whose JSON is of another shape than it should be."""

import asyncio
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from queue_agent.errors import ServerError
from queue_agent.media import identify
from runtimes._http import ModelServerClient
from runtimes.comfyui.driver.events import EventStream
from runtimes.comfyui.driver.executor import ComfyUI
from runtimes.comfyui.driver.workflow import Workflow
from runtimes.sdwebui.driver.executor import SdWebUI

ODD = [None, 7, True, "x", [], [7], [[7]], [[0, ["x"]]], {}, {"a": 7}]


async def served(answer, driver, use):
    """Use a driver before a server that answers everything with one JSON."""

    async def tell(_):
        return web.json_response(text=json.dumps(answer))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", tell)
    async with TestServer(app) as running:
        made = driver(ModelServerClient(str(running.make_url("/")), "/"))
        try:
            return await use(made)
        finally:
            await made.aclose()


def sdwebui(client):
    return SdWebUI(client, dynamic_model=True)


@pytest.mark.parametrize("state", [*ODD, {"job": ""}])
async def test_a_state_of_sd_webui_that_makes_no_sense_names_no_job(state):
    await served({"state": state}, sdwebui, lambda driver: driver.clear())
    assert await served({"state": state}, sdwebui, lambda driver: driver.liveness_token()) == [None] * 3
    await served(state, sdwebui, lambda driver: driver.clear())


@pytest.mark.parametrize("queue", ODD)
async def test_a_queue_of_comfyui_that_makes_no_sense_holds_no_job(queue):
    answer = {"queue_running": queue, "queue_pending": queue}
    assert (await served(answer, ComfyUI, lambda driver: driver.liveness_token()))[1] == []
    await served(answer, ComfyUI, lambda driver: driver.clear())


@pytest.mark.parametrize("answer", [*ODD, {"name": {}}, {"name": ["a"]}, {"name": ""}])
async def test_an_upload_that_is_answered_with_nonsense_is_the_servers_fault(answer):
    with pytest.raises(ServerError, match="to an upload"):
        await served(answer, ComfyUI, lambda driver: driver._upload(identify(b"GIF89a"), Workflow({})))


@pytest.mark.parametrize(("folder", "name"), [("f", "f/a"), ("", "a"), (None, "a")])
async def test_an_uploads_name_is_the_servers(folder, name):
    answer = {"name": "a", "subfolder": folder, "type": "input"}
    assert await served(answer, ComfyUI, lambda driver: driver._upload(identify(b"GIF89a"), Workflow({}))) == name


async def test_a_socket_whose_server_does_not_say_goodbye_is_closed_all_the_same():
    silent = asyncio.Event()

    async def greet(request):
        socket = web.WebSocketResponse(autoclose=False, autoping=False)
        await socket.prepare(request)
        await socket.send_str("{}")
        await silent.wait()
        return socket

    app = web.Application()
    app.router.add_get("/ws", greet)
    async with TestServer(app) as running:
        stream = EventStream(str(running.make_url("/ws")).replace("http", "ws"))
        assert await stream.wait_until_connected(5)
        closing = asyncio.create_task(stream.aclose())
        done, _ = await asyncio.wait({closing}, timeout=5)  # the library's own patience is 10 s
        silent.set()
        await closing
        assert done
