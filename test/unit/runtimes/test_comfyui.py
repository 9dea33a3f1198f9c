import asyncio
import base64
import json
import struct

import pytest
import websockets.asyncio.server
from yarl import URL

from queue_agent.errors import ExecutionFailed, InputError, InvalidTask, NoOutput, Rejected, ServerError
from queue_agent.ports import MAX_UNITS, RunSignals
from runtimes._http import ModelServerClient
from runtimes.comfyui.driver.events import EventStream
from runtimes.comfyui.driver.executor import ComfyUI
from runtimes.comfyui.driver.history import (
    ending_error,
    has_other_results,
    listed_files,
    refusal,
    saved_files,
)
from runtimes.comfyui.driver.workflow import Workflow, cycle_in, file_sites, inputs_in, work_of, workflow_of

GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 42, "model": ["4", 0], "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "ks"}},
    "10": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["8", 0]}},
}


def graph():
    return json.loads(json.dumps(GRAPH))


@pytest.mark.parametrize("content", [GRAPH, {"prompt": GRAPH}, {"prompt": GRAPH, "extra_data": None}])
def test_a_workflow_is_read_bare_or_under_prompt_and_extra_data_is_never_null(make_task, content):
    workflow = workflow_of(make_task(content, "pipeline"))
    assert (workflow.graph, workflow.extra_data) == (GRAPH, {})


def test_a_graph_whose_node_is_called_prompt_is_read_as_a_graph(make_task):
    bare = {"prompt": GRAPH["9"], "8": GRAPH["8"]}
    assert workflow_of(make_task(bare, "pipeline")).graph == bare


@pytest.mark.parametrize(
    "content",
    [
        {"1": {"inputs": {}}},
        {"1": {"class_type": "A"}},
        {"1": "x"},
        {"1": {"class_type": "x" * 100_000, "inputs": {}}},
        {"1": {"class_type": ["A"], "inputs": {}}},
    ],
)
def test_a_node_without_class_or_inputs_is_an_invalid_task(make_task, content):
    with pytest.raises(InvalidTask, match="Node 1"):
        workflow_of(make_task(content, "pipeline"))


def test_files_of_two_runs_never_share_a_name():
    first, second = Workflow(graph()), Workflow(graph())
    first.name_files_after("run-1")
    second.name_files_after("run-2")
    assert first.graph["9"]["inputs"]["filename_prefix"] == "run-1/ks"
    assert second.graph["9"]["inputs"]["filename_prefix"] == "run-2/ks"


def test_the_seed_of_a_picture_is_the_nearest_upstream():
    workflow = Workflow(graph())
    assert workflow.seed_of("9") == 42
    assert workflow.seed_of("5") is None
    assert workflow.seed_of("nope") is None


def test_a_cycle_has_no_seed_and_no_end():
    cycle = {"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}, "2": {"class_type": "A", "inputs": {"x": ["1", 0]}}}
    assert Workflow(cycle).seed_of("1") is None


SIGNALS = RunSignals(started=lambda batch=None: None, freed=lambda: None)
DECLARATIONS = {
    "LoadImage": {"input": {"required": {"image": [["a.png"], {"image_upload": True}]}}},
    "LoadAudio": {"input": {"required": {"audio": [[], {"audio_upload": True}]}}},
    "LoadVideo": {"input": {"required": {"file": ["COMBO", {"options": [], "video_upload": True}]}}},
    "Load3D": {"input": {"required": {"model_file": ["COMBO", {"options": [], "file_upload": True}]}}},
    "Custom": {
        "input": {"required": {"choice": [["x"]], "text": ["STRING", {}], "url": ["STRING", {"multiline": False}]}}
    },
    "Unknown": {},
}


@pytest.mark.parametrize(
    ("class_type", "name", "kinds"),
    [
        ("LoadImage", "image", ("image",)),
        ("LoadAudio", "audio", ("audio", "video")),
        ("LoadVideo", "file", ("video",)),
        ("Load3D", "model_file", ()),
        ("Custom", "choice", ()),
        ("Custom", "text", None),
        ("Custom", "url", None),
        ("Unknown", "image", None),
    ],
)
@pytest.mark.parametrize("text", ["s3://b/k", "http://a/two words", "data:image/png;base64,AAAA", "iVBO" * 64])
def test_a_link_or_a_file_is_read_only_for_an_input_that_names_a_file(class_type, name, kinds, text):
    workflow = Workflow({"1": {"class_type": class_type, "inputs": {name: text}}})
    sites = list(file_sites(workflow, inputs_in(workflow)[class_type], DECLARATIONS[class_type]))
    assert [site.input.kinds for site in sites] == ([kinds] if kinds is not None else [])


def entry(messages=(), outputs=None, status_str="success"):
    return {
        "outputs": outputs or {},
        "status": {"status_str": status_str, "completed": True, "messages": list(messages)},
    }


def test_an_execution_error_is_told_in_the_nodes_words():
    failed = entry(
        [
            ["execution_start", {"prompt_id": "p"}],
            [
                "execution_error",
                {
                    "node_id": "1",
                    "node_type": "LoadImage",
                    "exception_message": "cannot identify image file '/srv/comfyui/input/notimage.png'\n",
                    "exception_type": "PIL.UnidentifiedImageError",
                    "traceback": ["…"] * 50,
                    "current_inputs": {"images": ["tensor([[[…" * 1000]},
                },
            ],
        ],
        status_str="error",
    )
    error = ending_error(failed)
    assert type(error) is ExecutionFailed
    assert str(error) == "LoadImage (node 1): cannot identify image file '/srv/comfyui/input/notimage.png'"


def test_an_interrupt_is_no_error_of_the_task():
    error = ending_error(entry([["execution_interrupted", {"node_id": "3"}]], status_str="error"))
    assert type(error) is ServerError


def test_out_of_memory_is_no_error_of_the_task():
    data = {
        "node_id": "3",
        "node_type": "KSampler",
        "exception_message": "",
        "exception_type": "torch.OutOfMemoryError",
    }
    assert type(ending_error(entry([["execution_error", data]], status_str="error"))) is ServerError


def test_a_missing_status_is_a_success():
    assert ending_error({"outputs": {}, "status": None}) is None


def test_files_are_found_under_any_key_once_and_in_the_graphs_order():
    outputs = {
        "10": {"gifs": [{"filename": "b.mp4", "subfolder": "x", "type": "output", "format": "video/h264-mp4"}]},
        "9": {
            "images": [{"filename": "a.png", "subfolder": "", "type": "output"}, {"filename": "t.png", "type": "temp"}],
            "animated": [True],
            "again": [{"filename": "a.png", "subfolder": "", "type": "output"}],
            "text": ["hello"],
        },
        "99": {"audio": [{"filename": "c.flac", "subfolder": "audio", "type": "output"}]},
        "98": None,
    }
    files = list(saved_files(entry(outputs=outputs), Workflow(graph())))
    assert [(file.node_id, file.parameters["filename"]) for file in files] == [
        ("9", "a.png"),
        ("10", "b.mp4"),
        ("99", "c.flac"),
    ]
    shown = {"9": {"images": [{"filename": "in.png", "subfolder": "", "type": "input"}]}}
    assert list(saved_files(entry(outputs=shown), Workflow(graph()))) == []
    assert [file.parameters["filename"] for file in listed_files(entry(outputs=shown))] == ["in.png"]
    assert files[1].parameters == {"filename": "b.mp4", "subfolder": "x", "type": "output"}


def test_text_is_a_result_and_an_animation_flag_is_none():
    assert has_other_results(entry(outputs={"1": {"text": ["hello"]}}))
    assert not has_other_results(
        entry(outputs={"1": {"images": [{"filename": "a", "type": "temp"}], "animated": [True]}})
    )


def test_a_refused_workflow_is_told_node_by_node_in_the_servers_words():
    body = {
        "error": {
            "type": "prompt_outputs_failed_validation",
            "message": "Prompt outputs failed validation",
            "details": "",
        },
        "node_errors": {
            "1": {
                "class_type": "EmptyImage",
                "errors": [
                    {"message": "Required input is missing", "details": "batch_size"},
                    {"message": "Value -5 smaller than min of 1", "details": "width"},
                ],
            }
        },
    }
    fault = refusal(400, body, graph())
    assert type(fault) is Rejected
    assert str(fault) == (
        "EmptyImage (node 1): Required input is missing: batch_size; "
        "EmptyImage (node 1): Value -5 smaller than min of 1: width"
    )


def test_a_cycle_with_its_empty_node_errors_is_still_told():
    error = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": ""}
    cycle = {
        "1": {"class_type": "A", "inputs": {"x": ["2", 0]}},
        "2": {"class_type": "B", "inputs": {"y": ["3", 0]}},
        "3": {"class_type": "C", "inputs": {"y": ["2", 1]}},
    }
    assert str(refusal(400, {"error": error, "node_errors": {}}, cycle)) == (
        "Prompt outputs failed validation; nodes feed each other in a circle: 2 → 3 → 2"
    )
    assert str(refusal(400, {"error": error, "node_errors": {}}, graph())) == "Prompt outputs failed validation"


def test_a_node_that_feeds_itself_is_a_circle_and_a_long_chain_is_none():
    assert cycle_in({"1": {"inputs": {"x": ["1", 0]}}}) == ["1", "1"]
    chain = {str(number): {"inputs": {"x": [str(number + 1), 0]}} for number in range(3000)}
    assert cycle_in(chain) == []


class Id(str):
    """A node's id that counts how often two of them are compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Id.compared += 1
        return str.__eq__(self, other)


def test_a_long_chain_is_walked_once(monkeypatch):
    monkeypatch.setattr(Id, "compared", 0)
    chain = {Id(number): {"inputs": {"x": [Id(number + 1), 0]}} for number in range(3000)}
    assert cycle_in(chain) == []
    assert Id.compared < 30 * len(chain)


async def test_the_seed_of_thousands_of_files_of_one_node_is_looked_for_once(monkeypatch):
    looked = []
    monkeypatch.setattr(Workflow, "seed_of", lambda _, node_id: looked.append(node_id) or 7)
    files = [{"filename": f"{number}.png", "subfolder": "", "type": "output"} for number in range(4096)]
    driver = ComfyUI(Server())
    with driver._events.watch("mine", Workflow({"9": GRAPH["9"]}), SIGNALS) as watch:
        result = driver._collect(entry(outputs={"9": {"images": files}}), watch)
    assert {output.seed for output in result.outputs} == {7}
    assert looked == ["9"]


def test_a_workflow_with_too_many_texts_that_may_be_files_is_refused_before_the_server_is_asked_for_their_classes():
    def nodes(count):
        return {str(n): {"class_type": f"A{n}", "inputs": {"image": "http://x/a.png"}} for n in range(count)}

    assert len(inputs_in(Workflow(nodes(1000)))) == 1000
    with pytest.raises(InputError, match=r"A1000 \(node 1000\), image: a task may have at most 1000 inputs"):
        inputs_in(Workflow(nodes(1001)))


JSON_ERROR = {"error": {"type": "x", "message": "out of order"}, "node_errors": {}}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, None, "answers 500"),
        (500, JSON_ERROR, "answers 500"),
        (503, {"message": "busy"}, "answers 503"),
        (401, JSON_ERROR, "leads to a login"),
        (403, {"detail": "no"}, "leads to a login"),
        (404, {"message": "no such path"}, "answers 404"),
        (429, JSON_ERROR, "answers 429"),
        (400, {"message": "from a proxy"}, "answers 400"),
        (400, {"node_errors": [1]}, "answers 400"),
    ],
)
def test_an_answer_that_is_not_about_the_workflow_is_the_servers_fault(status, body, words):
    fault = refusal(status, body, graph())
    assert type(fault) is ServerError
    assert words in str(fault)


@pytest.mark.parametrize("target", [["9"], ["9", "10"], None])
def test_a_workflow_may_name_the_outputs_that_are_to_run(make_task, target):
    content = {"prompt": GRAPH, "partial_execution_targets": target, "client_id": "x", "number": 1}
    assert workflow_of(make_task(content, "pipeline")).targets == target


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"partial_execution_targets": "9"}, "must be a list of node ids"),
        ({"partial_execution_targets": []}, "must be a list of node ids"),
        ({"partial_execution_targets": [9]}, "must be a list of node ids"),
        ({"partial_execution_targets": ["9", "99"]}, "names nodes that the workflow does not have: 99"),
        ({"workflow": {}, "webhook": "x"}, "workflow is not read beside prompt; webhook is not read"),
    ],
)
def test_what_stands_beside_a_workflow_and_cannot_be_honoured_is_named(make_task, beside, words):
    with pytest.raises(InvalidTask, match=words):
        workflow_of(make_task({"prompt": GRAPH, **beside}, "pipeline"))


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n" + bytes(30), b"\xff\xd8\xff\xe0" + bytes(30), b"GIF89a" + bytes(30)]
)
@pytest.mark.parametrize("form", ["{}", '"{}"', " {}\n"])
def test_a_small_picture_in_base64_stands_for_a_file_as_a_large_one_does(make_task, data, form):
    text = form.format(base64.b64encode(data).decode())
    workflow = workflow_of(make_task({"1": {"class_type": "LoadImage", "inputs": {"image": text}}}, "pipeline"))
    assert inputs_in(workflow) == {"LoadImage": [("1", "image", text)]}


def test_names_of_files_are_no_pictures(make_task):
    names = {"a": "iVBORw0KGgo.png", "b": "/9j/x.jpg", "c": "R0lGODs.gif", "d": "UklGR/a/picture_with_a_long_name.webp"}
    workflow = workflow_of(make_task({"1": {"class_type": "LoadImage", "inputs": names}}, "pipeline"))
    assert inputs_in(workflow) == {}


def test_a_node_whose_files_cannot_be_named_does_not_come_from_the_servers_cache():
    workflow = Workflow(
        {
            "1": {"class_type": "Text", "inputs": {"text": "a"}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": ["1", 0]}},
            "3": {"class_type": "SaveElsewhere", "inputs": {"images": ["4", 0]}},
            "4": {"class_type": "EmptyImage", "inputs": {"width": 8}},
            "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "a"}},
        }
    )
    workflow.name_files_after("run-1")
    marked = [node_id for node_id, node in workflow.graph.items() if "run-1" in node["inputs"].values()]
    assert marked == ["2", "3"]
    assert workflow.graph["2"]["inputs"]["filename_prefix"] == ["1", 0]
    assert workflow.graph["5"]["inputs"]["filename_prefix"] == "run-1/a"


def frame_with_metadata(node_id, prompt_id, picture):
    metadata = json.dumps({"node_id": node_id, "prompt_id": prompt_id, "image_type": "image/png"}).encode()
    return struct.pack(">II", 4, len(metadata)) + metadata + picture


def event(kind, **data):
    return json.dumps({"type": kind, "data": data})


@pytest.fixture
def stream():
    return EventStream("ws://localhost/ws")


@pytest.mark.parametrize("kind", ["execution_success", "execution_error", "execution_interrupted"])
def test_any_ending_of_the_job_is_noticed_and_of_another_job_is_not(stream, kind):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        stream._on_event(event(kind, prompt_id="other"))
        assert not watch.ended.is_set()
        stream._on_event(event(kind, prompt_id="mine"))
        assert watch.ended.is_set()


@pytest.mark.parametrize(
    "declaration", [{}, {"input": None}, {"input": [1]}, {"input": {"required": 7, "optional": ["x"]}}]
)
def test_a_declaration_of_nonsense_declares_no_file(declaration):
    texts = [("9", "image", "http://x/a.png")]
    assert list(file_sites(Workflow(graph()), texts, declaration)) == []


async def test_a_class_is_asked_for_each_time_and_an_odd_answer_is_not_kept(monkeypatch):
    answers = [{"A": {"input": {}}}, [], {"A": "odd"}, {"A": {"input": {"required": {}}}}]
    driver = ComfyUI(ModelServerClient("http://127.0.0.1:1", "/"))

    async def get_json(path):
        return answers.pop(0)

    monkeypatch.setattr(driver._client, "get_json", get_json)
    assert [await driver._declaration("A") for _ in range(4)] == [{"input": {}}, {}, {}, {"input": {"required": {}}}]
    await driver.aclose()


def test_pictures_that_are_too_many_to_be_kept_are_dropped_and_missed(stream, monkeypatch):
    monkeypatch.setattr("runtimes.comfyui.driver.events._MAX_KEPT_BYTES", 10)
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        for _ in range(2):
            assert not watch.lacks_pictures
            stream._on_binary(frame_with_metadata("10", "mine", b"x" * 6))
        assert (len(watch.pictures), watch.lacks_pictures) == (1, True)


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

    async with websockets.asyncio.server.serve(serve, "127.0.0.1", 0) as server, asyncio.timeout(10):
        stream = EventStream(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws")
        broken = RunSignals(started=lambda batch=None: None, freed=breaks)
        with (
            stream.watch("broken", Workflow(graph()), broken),
            stream.watch("mine", Workflow(graph()), SIGNALS) as mine,
        ):
            assert await stream.wait_until_connected(5)
            await mine.ended.wait()
        await stream.aclose()
    assert len(connections) == 2


@pytest.mark.parametrize("steps", [[10**160], [10**400, 0.5], [1e308, 1e308]])
def test_steps_of_any_size_are_clamped(steps):
    nodes = {str(n): {"class_type": "A", "inputs": {"steps": count}} for n, count in enumerate(steps)}
    assert 1 <= work_of(nodes).units <= MAX_UNITS


@pytest.mark.parametrize(("value", "most"), [(1.5, 10**400), (10**400, 1.5), ("1", 2), (None, None), (0, 0)])
def test_progress_that_makes_no_sense_is_none(stream, value, most):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        stream._on_event(event("progress", prompt_id="mine", value=value, max=most))
        assert watch.fraction is None


def test_a_node_that_is_passed_over_ends_nothing_and_its_words_are_kept(stream):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        words = {"exception_type": "ExecutionBlocked", "exception_message": "Execution Blocked: no face found"}
        stream._on_event(event("execution_error", prompt_id="mine", node_id="9", node_type="SaveImage", **words))
        assert not watch.ended.is_set()
        with pytest.raises(NoOutput, match=r"saved nothing .*no face found"):
            ComfyUI(Server())._collect(entry(), watch)
        stream._on_event(event("execution_success", prompt_id="mine"))
        assert watch.ended.is_set()


def test_executing_nothing_is_an_ending_too(stream):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        stream._on_event(event("executing", node="3", prompt_id="mine"))
        assert not watch.ended.is_set()
        stream._on_event(event("executing", node=None, prompt_id="mine"))
        assert watch.ended.is_set()


def test_pictures_of_the_websocket_node_are_kept_and_previews_of_the_sampler_are_not(stream):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        stream._on_binary(frame_with_metadata("3", "mine", b"preview"))
        stream._on_binary(frame_with_metadata("10", "mine", b"picture"))
        stream._on_binary(frame_with_metadata("10", "other", b"stranger"))
        assert watch.pictures == [("10", b"picture")]


def test_without_metadata_the_executing_node_tells_whose_picture_it_is(stream):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        stream._on_event(event("executing", node="3", prompt_id="mine"))
        stream._on_binary(struct.pack(">II", 1, 1) + b"preview")
        stream._on_event(event("executing", node="10", prompt_id="mine"))
        stream._on_binary(struct.pack(">II", 1, 2) + b"picture")
        assert watch.pictures == [("10", b"picture")]


def test_after_a_reconnect_the_node_comes_without_its_job(stream):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        stream._on_event(event("executing", node="3", prompt_id="mine"))
        stream._on_event(event("executing", node="10"))
        stream._on_binary(struct.pack(">II", 1, 2) + b"picture")
        assert watch.pictures == [("10", b"picture")]


class Server:
    """A server whose history holds a job from the second look on, unless it says before that it does."""

    base_url = URL("http://localhost:8080/")

    def __init__(self):
        self.asked = []
        self.is_recorded = False

    async def get_json(self, path, **options):
        self.asked.append(path)
        if path == "queue":
            return {"queue_running": [[0, "mine"]]}
        return {"mine": entry()} if self.is_recorded or len(self.asked) > 2 else {}


async def wait_for_the_end(server, *events):
    driver = ComfyUI(server)
    with driver._events.watch("mine", Workflow(graph()), SIGNALS) as watch:
        waiting = asyncio.create_task(driver._wait("mine", watch))
        for kind, data in events:
            await asyncio.sleep(0.01)
            driver._events._on_event(event(kind, prompt_id="mine", **data))
        server.is_recorded = kind == "executing"
        return (await asyncio.wait_for(waiting, 60)).details


async def test_a_job_that_the_server_says_is_recorded_is_looked_up_once():
    server = Server()
    await wait_for_the_end(server, ("execution_success", {}), ("executing", {"node": None}))
    assert server.asked == ["history/mine"]


async def test_a_job_whose_record_is_never_told_is_looked_up_until_it_is_there():
    server = Server()
    assert await wait_for_the_end(server, ("execution_success", {})) == entry()
    assert server.asked == ["history/mine", "queue", "history/mine"]


async def test_files_are_not_asked_for_before_they_are_stored():
    server = Server()
    driver = ComfyUI(server)
    files = {"9": {"images": [{"filename": "a.png", "subfolder": "s", "type": "output"}]}}
    with driver._events.watch("mine", Workflow(graph()), SIGNALS) as watch:
        watch.pictures.append(("10", b"picture"))
        result = driver._collect(entry(outputs=files), watch)
    assert server.asked == []
    assert [(output.filename, output.seed) for output in result.outputs] == [("a.png", 42), (None, 42)]
    assert result.outputs[1].content == b"picture"


def test_the_servers_progress_of_all_nodes_is_a_sign_of_life_and_nothing_else(stream):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        stream._on_event(event("progress_state", prompt_id="mine", nodes={}))
        assert stream.heard == 1
        assert not watch.ended.is_set()


@pytest.mark.parametrize(
    "noise",
    [
        "",
        "{",
        "[]",
        '{"type": "status"}',
        '{"data": 1}',
        '{"type": "executing", "data": {}}',
        '{"type": [], "data": {}}',
        '{"type": ["executing"], "data": {"prompt_id": "mine", "node": null}}',
        '{"type": {}, "data": {"prompt_id": "mine"}}',
        '{"type": "executing", "data": {"prompt_id": ["mine"], "node": null}}',
        '{"type": "executing", "data": {"prompt_id": "mine", "node": ["10"]}}',
        '{"type": "executing", "data": {"prompt_id": {"a": 1}, "node": {"a": 1}}}',
    ],
)
def test_noise_on_the_websocket_is_ignored(stream, noise):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        stream._on_event(noise)
        stream._on_binary(struct.pack(">II", 1, 2) + b"picture")
        assert watch.fraction is None
        assert (watch.ended.is_set(), watch.pictures) == (False, [])


def test_of_many_nodes_that_are_passed_over_some_are_named(stream):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        words = {"exception_type": "ExecutionBlocked", "exception_message": "no face found"}
        for _ in range(1000):
            stream._on_event(event("execution_error", prompt_id="mine", **words))
        assert 0 < len(watch.blocked) < 100


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0",
        b"\0\0\0\x01",
        struct.pack(">II", 4, 10) + b"[]",
        struct.pack(">II", 3, 0),
        struct.pack(">II", 4, 2) + b"[]",
        struct.pack(">II", 4, 2_000_000) + b'{"node_id":"10","prompt_id":"mine"}'.ljust(2_000_000) + b"picture",
    ],
)
def test_broken_frames_are_ignored(stream, frame):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        stream._on_binary(frame)
        assert watch.pictures == []


def test_the_server_is_said_to_have_begun_and_to_be_free_once_each_even_if_the_beginning_was_missed(stream):
    said = []
    signals = RunSignals(started=lambda batch=None: said.append("started"), freed=lambda: said.append("freed"))
    with stream.watch("mine", Workflow(graph()), signals):
        stream._on_event(event("execution_success", prompt_id="mine"))
        stream._on_event(event("executing", node=None, prompt_id="mine"))
    assert said == ["started", "freed"]


def test_the_progress_of_the_running_job_is_the_one_of_its_present_node(stream):
    with stream.watch("mine", Workflow(graph()), SIGNALS) as watch:
        assert watch.fraction is None
        stream._on_event(event("executing", node="3", prompt_id="mine"))
        stream._on_event(event("progress", value=5, max=20, node="3", prompt_id="mine"))
        assert watch.fraction == 0.25


def test_workflows_that_differ_in_texts_seeds_and_steps_alone_are_of_one_kind():
    second, third = graph(), graph()
    second["3"]["inputs"].update(seed=1, steps=50)
    third["5"]["inputs"]["width"] = 128
    first, second, third = map(work_of, (graph(), second, third))
    assert first.kind == second.kind != third.kind
    assert (first.units, second.units) == (1, 50)
