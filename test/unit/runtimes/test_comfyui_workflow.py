"""Workflows as tasks send them, and what the server's history and refusals say of them."""

import base64
import copy

import pytest
from driverkit import task_of

from queue_agent.errors import ExecutionFailed, InputError, InvalidTask, Rejected, ServerError
from runtimes.comfyui.driver.history import ending_error, has_other_results, listed_files, refusal, saved_files
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
    return copy.deepcopy(GRAPH)


def chain(*links):
    """Nodes A, B, … of which each is fed by one."""
    return {
        str(number): {"class_type": chr(64 + number), "inputs": {"x": [str(source), 0]}}
        for number, source in enumerate(links, start=1)
    }


@pytest.mark.parametrize(
    ("content", "graph", "targets"),
    [
        (GRAPH, GRAPH, None),
        ({"prompt": GRAPH["9"], "8": GRAPH["8"]}, {"prompt": GRAPH["9"], "8": GRAPH["8"]}, None),
        ({"prompt": GRAPH, "partial_execution_targets": ["9"], "client_id": "x", "number": 1}, GRAPH, ["9"]),
    ],
)
def test_a_workflow_is_read_bare_or_under_prompt_and_may_name_the_outputs_that_are_to_run(content, graph, targets):
    workflow = workflow_of(task_of(content, "pipeline"))
    assert (workflow.graph, workflow.extra_data, workflow.targets) == (graph, {}, targets)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"1": {"class_type": "x" * 100_000, "inputs": {}}}, "1.class_type may have at most 200 characters"),
        ({"prompt": GRAPH, "workflow": {}, "webhook": "x"}, "workflow is not read beside prompt; webhook is not read"),
    ],
)
def test_what_the_doors_checks_reject_is_an_invalid_task(content, words):
    with pytest.raises(InvalidTask, match=words):
        workflow_of(task_of(content, "pipeline"))


def test_no_two_runs_share_a_file_and_a_node_whose_files_cannot_be_named_does_not_come_from_the_servers_cache():
    workflow = Workflow(
        {
            "1": {"class_type": "Text", "inputs": {"text": "a"}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": ["1", 0]}},
            "3": {"class_type": "SaveElsewhere", "inputs": {"images": ["4", 0]}},
            "4": {"class_type": "EmptyImage", "inputs": {"width": 8}},
            "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "ks"}},
        }
    )
    workflow.name_files_after("run-1")
    marked = [node_id for node_id, node in workflow.graph.items() if "run-1" in node["inputs"].values()]
    assert marked == ["2", "3"]
    assert [workflow.graph[node]["inputs"]["filename_prefix"] for node in ("2", "5")] == [["1", 0], "run-1/ks"]


def test_the_seed_of_a_picture_is_the_nearest_upstream_and_a_cycle_has_none():
    assert [Workflow(graph()).seed_of(node_id) for node_id in ("9", "5", "nope")] == [42, None, None]
    assert Workflow(chain(2, 1)).seed_of("1") is None


def test_workflows_that_differ_in_texts_seeds_and_steps_alone_are_of_one_kind():
    second, third = graph(), graph()
    second["3"]["inputs"].update(seed=1, steps=50)
    third["5"]["inputs"]["width"] = 128
    first, second, third = map(work_of, (graph(), second, third))
    assert first.kind == second.kind != third.kind
    assert (first.units, second.units) == (1, 50)


def required(**inputs):
    return {"input": {"required": inputs}}


@pytest.mark.parametrize(
    ("declaration", "kinds"),
    [
        (required(a=[["a.png"], {"image_upload": True}]), ("image",)),
        (required(a=[[], {"audio_upload": True}]), ("audio", "video")),
        (required(a=["COMBO", {"options": [], "file_upload": True}]), ()),
        (required(a=[["x"]]), ()),
        (required(a=["STRING", {}]), None),
        *[(odd, None) for odd in (None, {"input": [1]}, {"input": {"required": 7}})],
    ],
)
@pytest.mark.parametrize("text", ["s3://b/k", "http://a/two words", "data:image/png;base64,AAAA", "iVBO" * 64])
def test_a_link_or_a_file_is_read_only_for_an_input_that_names_a_file(declaration, kinds, text):
    workflow = Workflow({"1": {"class_type": "A", "inputs": {"a": text}}})
    sites = list(file_sites(workflow, inputs_in(workflow)["A"], declaration))
    assert [site.input.kinds for site in sites] == ([kinds] if kinds is not None else [])


def test_a_small_picture_in_base64_stands_for_a_file_as_a_large_one_does_and_no_name_of_a_file_is_one():
    names = {"a": "iVBORw0KGgo.png", "b": "/9j/x.jpg", "c": "R0lGODs.gif", "d": "UklGR/a/picture_with_a_long_name.webp"}
    data = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a")
    encoded = [base64.b64encode(head + bytes(30)).decode() for head in data]
    pictures = {text: text for one in encoded for text in (one, f'"{one}"', f" {one}\n")}
    workflow = Workflow({"1": {"class_type": "LoadImage", "inputs": names | pictures}})
    assert inputs_in(workflow) == {"LoadImage": [("1", name, text) for name, text in pictures.items()]}


def test_too_many_texts_that_may_be_files_are_refused_before_the_server_is_asked_for_their_classes():
    nodes = {str(n): {"class_type": f"A{n}", "inputs": {"image": "http://x/a.png"}} for n in range(1001)}
    with pytest.raises(InputError, match=r"A1000 \(node 1000\), image: a task may have at most 1000 inputs"):
        inputs_in(Workflow(nodes))
    del nodes["0"]
    assert len(inputs_in(Workflow(nodes))) == 1000


def entry(messages=(), outputs=None, status_str="success"):
    """A job's entry in the history."""
    status = {"status_str": status_str, "completed": True, "messages": list(messages)}
    return {"outputs": outputs or {}, "status": status}


def failed(**data):
    return entry([["execution_start", {}], ["execution_error", {"node_id": "3", "node_type": "KSampler", **data}]])


@pytest.mark.parametrize(
    ("told", "kind", "words"),
    [
        ({"outputs": {}, "status": None}, type(None), "None"),
        (failed(exception_message="no\n file", traceback=["…"]), ExecutionFailed, "KSampler (node 3): no file"),
        (failed(exception_message="", exception_type="A.B"), ExecutionFailed, "KSampler (node 3): A.B"),
        (entry([["execution_interrupted", {"node_id": "3"}]], status_str="error"), ServerError, "interrupted"),
        (entry(status_str="error"), ExecutionFailed, "without a reason"),
    ],
)
def test_an_ending_is_told_in_the_nodes_words_and_memory_and_interrupts_are_no_error_of_the_task(told, kind, words):
    error = ending_error(told)
    assert type(error) is kind
    assert words in str(error)


def test_files_are_found_under_any_key_once_and_in_the_graphs_order():
    first = {"filename": "a.png", "subfolder": "", "type": "output"}
    outputs = {
        "10": {"gifs": [{"filename": "b.mp4", "subfolder": "x", "type": "output", "format": "video/h264-mp4"}]},
        "9": {
            "images": [first, {"filename": "t.png", "type": "temp"}, {"filename": "in.png", "type": "input"}],
            "animated": [True],
            "again": [first],
        },
        "98": None,
    }
    told = entry(outputs=outputs)
    assert list(saved_files(told, Workflow(graph()))) == [
        ("9", first),
        ("10", {"filename": "b.mp4", "subfolder": "x", "type": "output"}),
    ]
    assert {file["filename"] for _, file in listed_files(told)} > {"t.png", "in.png"}
    assert not has_other_results(told)
    assert has_other_results(entry(outputs={"1": {"text": ["hello"]}}))


INVALID = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": ""}


def test_a_workflow_that_is_rejected_because_its_nodes_feed_each_other_in_a_circle_is_told_of_it():
    error = refusal(400, {"error": INVALID, "node_errors": {}}, chain(2, 3, 2))
    assert type(error) is Rejected
    assert str(error) == "Prompt outputs failed validation; nodes feed each other in a circle: 2 → 3 → 2"


def test_a_long_chain_is_no_circle():
    assert cycle_in(chain(*range(2, 50_000))) == []


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, None, "answers 500"),
        (429, {"error": INVALID}, "answers 429"),
        (401, {"error": INVALID}, "leads to a login"),
        (400, {"message": "from a proxy"}, "answers 400"),
        (400, {"node_errors": [1]}, "answers 400"),
    ],
)
def test_an_answer_that_is_not_about_the_workflow_is_the_servers_error(status, body, words):
    error = refusal(status, body, GRAPH)
    assert type(error) is ServerError
    assert words in str(error)


def test_a_node_is_called_by_its_title_or_else_its_class_and_by_its_id_where_others_are_called_so():
    titled = {"class_type": "KSampler", "inputs": {}, "_meta": {"title": " Hires\nfix \ud800"}}
    same = {"class_type": "VAEDecode", "inputs": {}, "_meta": {"title": None}}
    workflow = Workflow({"1": titled, "2": {"class_type": "KSampler", "inputs": {}}, "3": same, "4": same})
    names = [workflow.name_of(node_id) for node_id in ("1", "2", "3", "4", "5")]
    assert names == ["Hires fix ?", "KSampler", "VAEDecode (3)", "VAEDecode (4)", None]
    assert len(Workflow({"1": {**titled, "_meta": {"title": "x" * 10_000}}}).name_of("1")) == 200


def test_samplers_are_asked_for_previews_only_where_the_task_keeps_them_and_has_no_method_of_its_own():
    asked = {"preview_method": "taesd", "extra_pnginfo": {}}
    for content, keep, expected in (
        (GRAPH, None, {}),
        (GRAPH, ["preview"], {"preview_method": "latent2rgb"}),
        ({"prompt": GRAPH, "extra_data": asked}, ["preview"], asked),
    ):
        assert workflow_of(task_of(content, "pipeline", keep=keep)).extra_data == expected
