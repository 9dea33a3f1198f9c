"""ComfyUI's driver: its websocket, and how it finds a prompt's end."""

import asyncio
import json
import struct

import pytest
import websockets.asyncio.server
from test_comfyui_workflow import entry, graph
from yarl import URL

from queue_agent.errors import NoOutput
from queue_agent.ports import RunSignals
from runtimes.comfyui.driver.events import EventStream
from runtimes.comfyui.driver.executor import ComfyUI
from runtimes.comfyui.driver.workflow import Workflow

SIGNALS = RunSignals(started=lambda batch=None: None, freed=lambda: None)
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


def hear(*messages, signals=SIGNALS):
    """The watch of the prompt "mine" after some events and frames."""
    stream = EventStream("ws://localhost/ws")
    with stream.watch("mine", Workflow(graph()), signals) as watch:
        for message in messages:
            stream._on_event(message) if isinstance(message, str) else stream._on_binary(message)
    return watch


@pytest.mark.parametrize(
    ("message", "is_end"),
    [
        *[(event(kind), True) for kind in ("execution_success", "execution_error", "execution_interrupted")],
        (event("executing", node=None), True),
        (event("executing", node="3"), False),
        (event("execution_success", prompt_id="other"), False),
        (event("progress_state", nodes={}), False),
        (event("execution_error", **BLOCKED), False),  # one node is skipped; the others run
    ],
)
def test_a_prompt_ends_with_any_ending_of_its_own_and_with_nothing_else(message, is_end):
    assert hear(message).ended.is_set() is is_end


@pytest.mark.parametrize(
    "messages",
    [
        [frame("3", b"preview"), frame("10", b"picture"), frame("10", b"another's", "other")],
        [event("executing", node="3"), bare_frame(b"preview"), event("executing", node="10"), bare_frame(b"picture")],
        # After a reconnect the node comes without its prompt.
        [event("executing", node="3"), event("executing", node="10", prompt_id=None), bare_frame(b"picture")],
    ],
)
def test_pictures_of_the_websocket_node_are_kept_and_previews_of_the_sampler_are_not(messages):
    assert hear(*messages).pictures == [("10", b"picture")]


@pytest.mark.parametrize(
    "noise",
    [
        *("", "{", "[]", '{"type": "status"}', '{"data": 1}', '{"type": "executing", "data": {}}'),
        '{"type": [], "data": {}}',
        '{"type": ["executing"], "data": {"prompt_id": "mine", "node": null}}',
        '{"type": {}, "data": {"prompt_id": "mine"}}',
        '{"type": "executing", "data": {"prompt_id": ["mine"], "node": null}}',
        '{"type": "executing", "data": {"prompt_id": "mine", "node": ["10"]}}',
        '{"type": "executing", "data": {"prompt_id": {"a": 1}, "node": {"a": 1}}}',
        *[
            event("progress", value=value, max=most)
            for value, most in [(1.5, 10**400), (10**400, 1.5), ("1", 2), (0, 0)]
        ],
        *(b"", b"\0", b"\0\0\0\x01"),
        *(struct.pack(">II", *head) + b"[]" for head in [(4, 10), (3, 0), (4, 2)]),
        struct.pack(">II", 4, 2_000_000) + b'{"node_id":"10","prompt_id":"mine"}'.ljust(2_000_000) + b"picture",
    ],
)
def test_noise_on_the_websocket_is_ignored(noise):
    watch = hear(noise, bare_frame(b"picture"))
    assert (watch.ended.is_set(), watch.pictures, watch.fraction) == (False, [], None)


def test_the_progress_of_a_prompt_is_that_of_its_present_node():
    assert hear(event("executing", node="3"), event("progress", value=5, max=20, node="3")).fraction == 0.25


def test_the_server_is_said_to_have_begun_and_to_be_free_once_each_even_if_the_beginning_was_missed():
    said = []
    signals = RunSignals(started=lambda batch=None: said.append("started"), freed=lambda: said.append("freed"))
    hear(event("execution_success"), event("executing", node=None), signals=signals)
    assert said == ["started", "freed"]


def test_every_event_of_a_prompt_is_a_sign_of_life():
    stream = EventStream("ws://localhost/ws")
    stream._on_event(event("progress_state", nodes={}))
    assert stream.heard == 1


def test_pictures_that_are_too_many_to_be_kept_are_dropped_and_missed(monkeypatch):
    monkeypatch.setattr("runtimes.comfyui.driver.events._MAX_KEPT_BYTES", 10)
    assert not hear(frame("10", b"x" * 6)).lacks_pictures
    watch = hear(*[frame("10", b"x" * 6)] * 2)
    assert (len(watch.pictures), watch.lacks_pictures) == (1, True)


def test_some_of_many_skipped_nodes_are_named_where_nothing_was_saved():
    watch = hear(*[event("execution_error", node_id="9", **BLOCKED)] * 1000)
    assert 0 < len(watch.blocked) < 100
    with pytest.raises(NoOutput, match=r"saved nothing .*no face found"):
        ComfyUI(Server())._collect(entry(), watch)


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

    async with websockets.asyncio.server.serve(serve, "127.0.0.1", 0) as server, asyncio.timeout(60):
        stream = EventStream(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws")
        broken = RunSignals(started=lambda batch=None: None, freed=breaks)
        with (
            stream.watch("broken", Workflow(graph()), broken),
            stream.watch("mine", Workflow(graph()), SIGNALS) as mine,
        ):
            assert await stream.wait_until_connected(60)
            await mine.ended.wait()
        await stream.aclose()
    assert len(connections) == 2


class Server:
    """A server whose history holds a prompt from the second look on, unless it says before that it does."""

    base_url = URL("http://localhost:8080/")

    def __init__(self):
        self.asked = []
        self.is_recorded = False

    async def get_json(self, path, **options):
        self.asked.append(path)
        if path == "queue":
            return {"queue_running": [[0, "mine"]]}
        return {"mine": entry()} if self.is_recorded or len(self.asked) > 2 else {}


@pytest.mark.parametrize(
    ("events", "asked"),
    [
        ([("execution_success", {}), ("executing", {"node": None})], ["history/mine"]),
        ([("execution_success", {})], ["history/mine", "queue", "history/mine"]),
    ],
)
async def test_a_prompt_is_looked_up_until_its_record_is_there_and_once_where_the_server_says_so(events, asked):
    server = Server()
    driver = ComfyUI(server)
    with driver._events.watch("mine", Workflow(graph()), SIGNALS) as watch:
        waiting = asyncio.create_task(driver._wait("mine", watch))
        for kind, data in events:
            await asyncio.sleep(0)
            driver._events._on_event(event(kind, **data))
        server.is_recorded = len(events) == 2
        async with asyncio.timeout(60):
            assert (await waiting).details == entry()
    assert server.asked == asked


async def test_files_are_not_asked_for_before_they_are_stored_and_their_seed_is_looked_for_once_a_node(monkeypatch):
    looked = []
    monkeypatch.setattr(Workflow, "seed_of", lambda _, node_id: looked.append(node_id) or 7)
    server = Server()
    files = [{"filename": f"{number}.png", "subfolder": "", "type": "output"} for number in range(4096)]
    watch = hear(frame("10", b"picture"))
    result = ComfyUI(server)._collect(entry(outputs={"9": {"images": files}}), watch)
    assert (server.asked, looked) == ([], ["9", "10"])
    assert [(output.filename, output.seed) for output in result.outputs[::4096]] == [("0.png", 7), (None, 7)]
    assert result.outputs[-1].content == b"picture"


async def test_a_class_is_asked_for_each_time_and_an_odd_answer_is_not_kept(monkeypatch):
    answers = [{"A": {"input": {}}}, [], {"A": "odd"}]
    driver = ComfyUI(Server())

    async def get_json(path):
        return answers.pop(0)

    monkeypatch.setattr(driver._client, "get_json", get_json, raising=False)
    assert [await driver._declaration("A") for _ in range(3)] == [{"input": {}}, {}, {}]
    assert [await driver._declaration(name) for name in ("..", ".")] == [{}, {}]  # they would be other paths
