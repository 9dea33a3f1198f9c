"""ComfyUI's driver: its websocket, how it finds a prompt's end, and odd answers."""

import asyncio
import json
import struct

import pytest
import websockets.asyncio.server
from aiohttp import web
from driverkit import client_of, signals
from test_comfyui_workflow import entry, graph

from jobs.job import Progress
from queue_agent.errors import NoOutput, ServerError
from queue_agent.media import identify
from queue_agent.ports import MAX_PREVIEW_BYTES, RunSignals
from runtimes.comfyui.driver.events import EventStream, Prompt
from runtimes.comfyui.driver.executor import ComfyUI
from runtimes.comfyui.driver.workflow import Workflow

BLOCKED = {"exception_type": "ExecutionBlocked", "exception_message": "Execution Blocked: no face found"}


def event(kind, **data):
    """An event of the prompt "mine", unless it says otherwise."""
    return json.dumps({"type": kind, "data": {"prompt_id": "mine", **data}})


def frame(node_id, picture, prompt_id="mine"):
    metadata = json.dumps({"node_id": node_id, "prompt_id": prompt_id, "image_type": "image/png"}).encode()
    return struct.pack(">II", 4, len(metadata)) + metadata + picture


def bare_frame(picture):
    """As servers send it that name neither node nor prompt."""
    return struct.pack(">II", 1, 2) + picture


def prompt(server_id="mine", said=None):
    return Prompt("job", server_id, Workflow(graph()), said or signals([]))


def hear(*messages):
    """The prompt "mine" after some events and frames."""
    mine = prompt()
    stream = EventStream("ws://localhost/ws", {"mine": mine})
    for message in messages:
        stream.take(message)
    return mine


@pytest.mark.parametrize(
    ("message", "said", "is_recorded"),
    [
        *[
            (event(kind), [("started", None), "freed"], False)
            for kind in ("execution_success", "execution_error", "execution_interrupted")
        ],
        (event("executing", node=None), [("started", None), "freed"], True),
        (event("executing", node="3"), [("started", None)], False),
        (event("execution_success", prompt_id="other"), [], False),
        (event("execution_error", **BLOCKED), [("started", None)], False),  # one node is skipped; the others run
    ],
)
def test_a_prompt_frees_the_gpu_with_any_ending_of_its_own_and_is_recorded_after_that(message, said, is_recorded):
    heard = []
    mine = prompt(said=signals(heard))
    EventStream("ws://localhost/ws", {"mine": mine}).take(message)
    assert (heard, mine.recorded.is_set()) == (said, is_recorded)


@pytest.mark.parametrize(
    ("messages", "preview"),
    [
        ([frame("3", b"early"), frame("3", b"late"), frame("10", b"picture"), frame("3", b"x", "other")], b"late"),
        (
            [event("executing", node="3"), bare_frame(b"old"), event("executing", node="10"), bare_frame(b"picture")],
            b"old",
        ),
        # After a reconnect the node comes without its prompt.
        ([event("executing", node="3"), event("executing", node="10", prompt_id=None), bare_frame(b"picture")], None),
        ([frame("3", b"a"), frame("3", bytes(MAX_PREVIEW_BYTES + 1)), frame("10", b"picture")], b"a"),
    ],
)
def test_pictures_of_the_websocket_node_are_kept_and_of_the_samplers_previews_the_latest(messages, preview):
    mine = hear(*messages)
    assert (mine.pictures, mine.preview) == ([("10", b"picture")], preview)


@pytest.mark.parametrize(
    "noise",
    [
        *("{", "[]", '{"data": 1}', '{"type": [], "data": {}}'),
        '{"type": "executing", "data": {"prompt_id": ["mine"], "node": null}}',
        '{"type": "executing", "data": {"prompt_id": "mine", "node": ["10"]}}',
        *[event("progress", value=value, max=most) for value, most in [(1.5, 10**400), ("1", 2), (0, 0)]],
        *(b"\0", *(struct.pack(">II", *head) + b"[]" for head in [(4, 10), (3, 0), (4, 2)])),
        struct.pack(">II", 4, 2_000_000) + b'{"node_id":"10","prompt_id":"mine"}'.ljust(2_000_000) + b"picture",
    ],
)
def test_noise_on_the_websocket_is_ignored(noise):
    mine = hear(noise, bare_frame(b"picture"))
    assert (mine.recorded.is_set(), mine.pictures, mine.progress) == (False, [], None)


def test_the_progress_of_a_prompt_is_that_of_its_present_node_and_every_event_a_sign_of_life():
    mine = prompt()
    stream = EventStream("ws://localhost/ws", {"mine": mine})
    told = [
        (event("executing", node="3"), Progress(stage="KSampler")),
        (event("progress_state"), Progress(stage="KSampler")),
        (event("progress", value=5, max=20), Progress(fraction=0.25, step=5, steps=20, stage="KSampler")),
        (event("executing", node="8.0.1", display_node="8"), Progress(stage="VAEDecode")),
        (event("executing", node="gone"), None),
    ]
    for message, progress in told:
        stream.take(message)
        assert mine.progress == progress
    assert stream.heard == len(told)


def test_pictures_that_are_too_many_to_be_kept_are_dropped_and_missed(monkeypatch):
    monkeypatch.setattr("runtimes.comfyui.driver.events._MAX_KEPT_BYTES", 10)
    assert not hear(frame("10", b"x" * 6)).lacks_pictures
    mine = hear(*[frame("10", b"x" * 6)] * 2)
    assert (len(mine.pictures), mine.lacks_pictures) == (1, True)


async def test_the_listener_outlives_whatever_a_message_breaks_and_hears_the_next_one():
    connections = []

    async def serve(socket):
        connections.append(socket)
        await socket.recv()
        await socket.send(event("status"))
        await socket.send(event("executing", node=None, prompt_id="broken" if len(connections) == 1 else "mine"))
        await socket.wait_closed()

    def breaks():
        raise OverflowError("int too large to convert to float")

    mine, broken = prompt(), prompt("broken", RunSignals(started=lambda batch=None: None, freed=breaks))
    async with websockets.asyncio.server.serve(serve, "127.0.0.1", 0) as server, asyncio.timeout(60):
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        stream = EventStream(url, {"mine": mine, "broken": broken})
        assert await stream.wait_until_connected(60)
        await mine.recorded.wait()
        await stream.aclose()
    assert len(connections) == 2


async def test_a_prompt_that_leaves_the_queue_between_two_looks_is_found_in_the_history():
    paths = []

    async def serve(request):
        paths.append(request.path)
        return web.json_response({"mine": entry()} if len(paths) > 2 else {})

    async with client_of(web.get("/{path:.*}", serve)) as client:
        assert (await ComfyUI(client)._report("mine")).details == entry()
    assert paths == ["/history/mine", "/queue", "/history/mine"]


async def test_some_of_many_skipped_nodes_are_named_where_nothing_was_saved():
    mine = hear(*[event("execution_error", node_id="9", **BLOCKED)] * 1000)
    assert 0 < len(mine.blocked) < 100
    async with client_of() as client:
        with pytest.raises(NoOutput, match=r"saved nothing .*no face found"):
            ComfyUI(client)._collect(mine, entry())


async def answered(answer, use):
    """Use a driver before a server that answers everything with one JSON."""

    async def tell(_):
        return web.json_response(answer)

    async with client_of(web.route("*", "/{path:.*}", tell)) as client:
        return await use(ComfyUI(client))


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ({"name": "a", "subfolder": "f", "type": "input"}, "f/a"),
        ({"name": "a", "subfolder": None}, "a"),
        *[(answer, None) for answer in (None, [7], {"name": ["a"]}, {"name": ""})],
    ],
)
async def test_an_uploads_name_is_the_servers_and_an_answer_without_one_is_the_servers_fault(answer, name):
    upload = answered(answer, lambda driver: driver._upload(identify(b"GIF89a"), Workflow({})))
    if name:
        assert await upload == name
    else:
        with pytest.raises(ServerError, match="to an upload"):
            await upload


async def test_a_class_that_looks_like_a_path_is_not_asked_for():
    assert await answered({"..": {}}, lambda driver: driver._declaration("..")) is None


@pytest.mark.parametrize(
    ("running", "interrupts"),
    [([["mine"], ["mine"], []], 2), ([[]], 0), ([["other"]], 0)],
    ids=["early", "gone", "other"],
)
async def test_a_prompt_is_interrupted_until_it_has_ended_and_no_other_one_ever(running, interrupts):
    asked = []

    async def note(request):
        asked.append((request.path, await request.json()))
        return web.Response()

    async def tell(_request):
        return web.json_response({"queue_running": [[0, one] for one in running.pop(0)], "queue_pending": []})

    async with client_of(web.post("/queue", note), web.post("/interrupt", note), web.get("/queue", tell)) as client:
        await ComfyUI(client)._withdraw("mine")
    assert asked == [("/queue", {"delete": ["mine"]}), *[("/interrupt", {"prompt_id": "mine"})] * interrupts]
