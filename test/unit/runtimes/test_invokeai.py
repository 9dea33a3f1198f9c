"""InvokeAI's driver and checks: what the API rejects, events, items of the queue, and odd answers."""

import base64
import json

import pytest
from driverkit import signals, task_of

from jobs.job import Progress
from queue_agent.errors import ExecutionFailed, InputError, Rejected, ServerError
from queue_agent.ports import MAX_PREVIEW_BYTES
from runtimes.catalog import DeployedRuntime
from runtimes.invokeai.checks import check, warn
from runtimes.invokeai.content import content_of
from runtimes.invokeai.driver.catalog import catalog_of
from runtimes.invokeai.driver.events import ItemEvents, Run
from runtimes.invokeai.driver.items import all_files, ending_error, made_files, refusal
from runtimes.invokeai.driver.session import file_sites, session_of
from runtimes.invokeai.standin.declared import OPENAPI
from runtimes.live import LiveCatalog
from runtimes.pictures import NotDrawableError, PictureRequest
from test.kit.tasks import INVOKE_MODEL, blank_image, drawing_graph, edge

LINK = "https://example.com/a.png"


def record(name, base="sd-1", kind="main"):
    return {"key": f"key-{name}", "hash": "h", "name": name, "base": base, "type": kind, "path": "/srv/x"}


def live(*records):
    return catalog_of({"models": list(records or [record("a")])}, OPENAPI)


def runtime(catalog=None):
    return DeployedRuntime(name="inv", type="invokeai", live=lambda: catalog)


def found(function, content, catalog=None):
    return [(one.pointer, one.detail) for one in function(content, "pipeline", runtime(catalog), ("content",))]


def test_a_catalog_has_models_by_their_kind_and_node_types_with_their_inputs_and_travels():
    catalog = LiveCatalog.unpack(live(record("a"), record("b", kind="lora"), record("c", kind="vae")).pack())
    assert [[one.name for one in kind] for kind in (catalog.models, catalog.loras, catalog.vaes)] == [
        *(["a"], ["b"], ["c"])
    ]
    resize = catalog.nodes["img_resize"].inputs
    assert (resize["image"].is_required, resize["image"].takes_file, resize["image"].type) == (True, True, "ImageField")
    assert (resize["width"].is_required, resize["width"].default, resize["width"].type) == (False, 512, "integer")
    assert not {"id", "type", "use_cache"} & set(resize)


@pytest.mark.parametrize(
    ("nodes", "pointer", "words"),
    [
        ({"a": {"type": "blank_imag"}}, "content.nodes.a", 'servers have: "blank_imag"; did you mean blank_image?'),
        ({"a": {"type": "img_resize"}}, "content.nodes.a.image", "is required by img_resize (node a): a value, or an"),
        (
            {"m": {"type": "main_model_loader"}},
            "content.nodes.m.model",
            "(node m): a model by its name, base and type, or an edge to it; there are a (sd-1, main)",
        ),
        (
            {"m": {"type": "main_model_loader", "model": {"name": "a"}}},
            "content.nodes.m.model",
            "must be a model by its",
        ),
        ({"m": {"type": "main_model_loader", "model": "a"}}, "content.nodes.m.model", "must be a model by its name"),
        (
            {"m": {"type": "main_model_loader", "model": {**INVOKE_MODEL, "name": "aa"}}},
            "content.nodes.m.model",
            "names a model that the server does not have: aa (sd-1, main); there are a (sd-1)",
        ),
        (
            {"m": {"type": "main_model_loader", "model": {**INVOKE_MODEL, "base": "sdxl"}}},
            "content.nodes.m.model",
            "a (sdxl, main); there are a (sd-1)",
        ),
        ({"r": {"type": "image", "image": {"image_name": "1.png"}}}, "content.nodes.r.image.image_name", '"1.png"'),
        ({"r": {"type": "image", "image": {"image_name": "ftp://a/b"}}}, "content.nodes.r.image.image_name", "a link"),
        ({"r": {"type": "image", "image": LINK}}, "content.nodes.r.image", 'must be an object: {"image_name": LINK}'),
        ({"a": blank_image(width=100_000, height=100_000)}, "content.nodes.a", "10000 megapixels"),
        ({"a": blank_image(width=1e5, height="100000")}, "content.nodes.a", "10000 megapixels"),
    ],
)
def test_the_api_rejects_what_no_server_could_run(nodes, pointer, words):
    problems = found(check, {"nodes": nodes}, live())
    assert [where for where, _ in problems] == [pointer]
    assert words in problems[0][1]


@pytest.mark.parametrize("together", [True, False])
def test_the_api_rejects_a_picture_that_a_batch_makes_too_large(together):
    data = [{"node_path": "a", "field_name": side, "items": [512, 10_000]} for side in ("width", "height")]
    content = {"graph": {"nodes": {"a": blank_image()}}, "batch": [data] if together else [[one] for one in data]}
    assert [words[:26] for _, words in found(check, content)] == ["10000 x 10000 is 100 megap"]
    data[1]["items"] = [10_000, 512]
    assert len(found(check, content)) == (0 if together else 1)


def test_the_api_accepts_what_runs_and_knows_less_without_a_catalog():
    assert found(check, {"graph": drawing_graph()}, live()) == found(warn, {"graph": drawing_graph()}, live()) == []
    fed = {"nodes": {"a": {"type": "image", "image": {"image_name": LINK}}, "b": {"type": "img_resize"}}}
    assert found(check, {**fed, "edges": [edge("a.image", "b.image")]}, live()) == []
    images = [{"image_name": LINK}]
    batch = [[{"node_path": "b", "field_name": "image", "items": images}]]
    assert found(check, {"graph": fed, "batch": batch}, live()) == []
    assert found(check, {"nodes": {"a": {"type": "nope", "model": {**INVOKE_MODEL, "name": "z"}}}}) == []


def test_the_api_warns_of_fields_that_nobody_reads():
    problems = found(warn, {"nodes": {"a": blank_image(widht=3, use_cache=True, board="x")}}, live())
    assert problems == [
        ("content.nodes.a.widht", "is no input of blank_image (node a), which ignores it; did you mean width?")
    ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"width": 512, "height": 512, "sessions": 1}),
        ({"width": 100, "height": 70, "n": 3, "seed": 2**32 - 1}, {"width": 96, "height": 64, "sessions": 3}),
        ({"image": LINK, "strength": 0.25}, {"width": 512, "height": 512, "sessions": 1, "start": 0.75}),
    ],
)
@pytest.mark.parametrize("base", ["sd-1", "sdxl"])
def test_a_picture_in_words_becomes_a_graph_that_the_api_accepts(asked, expected, base):
    if base == "sdxl" and "width" not in asked:
        expected = {**expected, "width": 1024, "height": 1024}
    catalog = live(record("a", base), record("l", kind="lora"))
    if base == "sdxl":
        catalog = catalog.model_copy(update={"nodes": None})  # the stand-in has no nodes for it
    task_type, content = content_of(PictureRequest(prompt="p", **asked), runtime(catalog))
    assert task_type == "pipeline"
    assert found(check, content, catalog) == []
    session = session_of(task_of(content, task_type))
    nodes = session.graph["nodes"]
    assert {side: nodes["noise"][side] for side in ("width", "height")} == {
        side: expected[side] for side in ("width", "height")
    }
    assert session.document.sessions == expected["sessions"]
    assert nodes["denoise"].get("denoising_start") == expected.get("start")
    assert session.work.units == 30 * expected["sessions"]


@pytest.mark.parametrize(
    ("asked", "catalog", "words"),
    [
        ({}, None, "unknown until its server has run once"),
        ({}, live(record("a", "flux")), "has no model of sd-1, sd-2, sdxl"),
        ({}, live(record("a"), record("b")), "has 2 models of"),
        ({"mask": LINK, "image": LINK}, live(), "inpaints by a graph of its own"),
        ({"format": "webp"}, live(), "PNG alone, not webp"),
    ],
)
def test_a_picture_that_cannot_be_drawn_says_why(asked, catalog, words):
    with pytest.raises(NotDrawableError, match=words):
        content_of(PictureRequest(prompt="p", **asked), runtime(catalog))


def test_no_node_may_take_another_jobs_result_from_the_cache():
    nodes = {"a": blank_image(use_cache=True), "b": blank_image()}
    session = session_of(task_of({"nodes": nodes}, "pipeline"))
    assert [node["use_cache"] for node in session.graph["nodes"].values()] == [False, False]


def test_files_are_found_at_any_depth_and_in_batches_and_texts_with_links_are_left_alone():
    nodes = {"a": {"type": "x", "prompt": LINK, "list": [{"image": {"image_name": LINK}}]}, "b": {"type": "y"}}
    batch = [[{"node_path": "b", "field_name": "v", "items": [{"video_name": LINK}]}]]
    session = session_of(task_of({"graph": {"nodes": nodes}, "batch": batch}, "pipeline"))
    sites = list(file_sites(session.document))
    assert [(site.input.field, site.input.kinds) for site in sites] == [
        ("graph.nodes.a.list[0].image.image_name", ("image",)),
        ("graph.nodes.b.v[0].video_name", ("video",)),
    ]
    for site in sites:
        site.replace("mine")
    assert session.graph["nodes"]["a"]["list"] == [{"image": {"image_name": "mine"}}]
    assert session.document.batch[0][0]["items"] == [{"video_name": "mine"}]


def test_a_task_has_at_most_1000_files():
    nodes = {"a": {"type": "x", "images": [{"image_name": LINK}] * 1001}}
    with pytest.raises(InputError, match="at most 1000 inputs"):
        list(file_sites(session_of(task_of({"nodes": nodes}, "pipeline")).document))


# Events


def run(said=None):
    session = session_of(task_of({"graph": drawing_graph(steps=4)}, "pipeline"))
    return Run("job", "mine", session, signals([] if said is None else said))


def hear(one, kind, **data):
    ItemEvents("ws://localhost/", {"mine": one}).take(json.dumps([kind, {"destination": "mine", **data}]))


def changed(status, **unfinished):
    return {"status": status, "batch_status": {"pending": 0, "in_progress": 0, "waiting": 0, **unfinished}}


@pytest.mark.parametrize(
    ("data", "expected", "ended"),
    [
        (changed("in_progress", in_progress=1), [("started", None)], False),
        (changed("completed", pending=1), [], False),
        (changed("completed"), [("started", None), "freed"], True),
        (changed("failed", pending=3), [("started", None), "freed"], True),
        (changed("canceled"), [("started", None), "freed"], True),
        ({}, [], False),
    ],
)
def test_a_job_begins_with_its_first_item_and_ends_with_its_last_or_with_the_first_that_fails(data, expected, ended):
    said = []
    one = run(said)
    hear(one, "queue_item_status_changed", **data)
    assert (said, one.ended.is_set()) == (expected, ended)


def test_progress_is_that_of_the_running_node_with_its_steps_where_it_denoises():
    one = run()
    hear(one, "invocation_started", invocation_source_id="text", invocation={"type": "compel"})
    assert one.progress == Progress(stage="compel")
    denoise = {"type": "denoise_latents", "steps": 4, "denoising_start": 0.0}
    hear(one, "invocation_progress", invocation_source_id="denoise", invocation=denoise, percentage=0.5)
    assert one.progress == Progress(fraction=0.5, step=2, steps=4, stage="denoise_latents")
    denoise["denoising_start"] = 0.5  # it takes fewer steps than it names
    hear(one, "invocation_progress", invocation_source_id="denoise", invocation=denoise, percentage=0.5)
    assert one.progress == Progress(fraction=0.5, stage="denoise_latents")
    hear(one, "invocation_started", invocation_source_id="child", invocation={"type": "l2i"})
    assert one.progress == Progress(stage="l2i")


def test_the_latest_picture_that_is_not_too_large_is_the_preview():
    one = run()
    for picture in (b"one", b"two", bytes(MAX_PREVIEW_BYTES + 3)):
        image = {"dataURL": f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"}
        hear(one, "invocation_progress", invocation_source_id="denoise", image=image)
    assert one.preview == b"two"


@pytest.mark.parametrize("text", ["", "[", "3", "[1, {}]", '["x"]', '["x", 3]', '["x", {"destination": 3}]'])
def test_an_odd_event_is_ignored(text):
    ItemEvents("ws://localhost/", {"mine": run()}).take(text)


# Items


def item(number=1, status="completed", *, results=None, nodes=None, **more):
    nodes = nodes or {"n": {"type": "l2i", "is_intermediate": False}}
    session = {
        "graph": {"nodes": nodes},
        "execution_graph": {"nodes": {f"p-{key}": node for key, node in nodes.items()}, "edges": []},
        "source_prepared_mapping": {key: [f"p-{key}"] for key in nodes},
        "prepared_source_mapping": {f"p-{key}": key for key in nodes},
        "results": {f"p-{key}": result for key, result in (results or {}).items()},
        "errors": {"p-n": "Traceback /srv/x"} if status == "failed" else {},
    }
    return {"item_id": number, "status": status, "session": session, **more}


def test_files_come_in_the_order_of_items_and_nodes_each_once_without_those_that_the_task_brought():
    given = {"image_name": "given"}
    nodes = {key: {"type": "x", "is_intermediate": key == "hidden", "image": given} for key in ("z", "hidden", "a")}
    lists = {"z": {"collection": [{"image_name": "2"}, {"image_name": "3"}]}, "hidden": {"image": {"image_name": "h"}}}
    first = item(1, nodes=nodes, results={**lists, "a": {"image": given, "video": {"video_name": "v"}}})
    second = item(2, nodes=nodes, results={"a": {"image": {"image_name": "3"}}, "z": {"image": {"image_name": "4"}}})
    assert [(file.kind, file.name) for file in made_files([second, first])] == [
        ("image", "2"),
        ("image", "3"),
        ("video", "v"),
        ("image", "4"),
    ]
    assert all_files([first, second]) == {**dict.fromkeys(("given", "2", "3", "h", "4"), "image"), "v": "video"}


def test_seeds_are_found_in_a_graph_of_thousands_of_nodes():
    """To look through all edges at each step would take minutes."""
    nodes = {f"n{number}": {"type": "x"} for number in range(6000)} | {"n0": {"type": "noise", "seed": 7}}
    made = item(nodes=nodes, results={"n5999": {"collection": [{"image_name": str(number)} for number in range(50)]}})
    made["session"]["execution_graph"]["edges"] = [
        edge(f"p-n{number}.out", f"p-n{number + 1}.in") for number in range(5999)
    ]
    assert {(file.seed, file.kind) for file in made_files([made])} == {(7, "image")}


def test_the_files_that_a_saved_workflow_reads_are_its_owners_and_stay():
    given, owned = ({"image": {"image_name": name}} for name in ("given", "owners"))
    caller = item(1, nodes={"call": {"type": "call_saved_workflow", **given, "image_name": "somebodys"}})
    caller["session"]["results"] = {"p-call": {"values": {"a": owned["image"], "b": {"image_name": "made"}}}}
    child = item(2, nodes={"a": {"type": "image", **owned}, "b": {"type": "x", **given}}, parent_item_id=1)
    child["session"]["results"] = {"p-a": owned, "p-b": {"image": {"image_name": "made"}}}
    assert all_files([caller, child]) == dict.fromkeys(("given", "made"), "image")


@pytest.mark.parametrize(
    ("kind", "message", "error", "words"),
    [
        ("MissingInputException", "Node l2i missing", Rejected, "l2i (node n): Node l2i missing"),
        ("Exception", "Unknown model x", Rejected, "Unknown model x"),
        ("ValueError", "bad", ExecutionFailed, "l2i (node n): bad"),
        ("OutOfMemoryError", "CUDA out of memory.", ServerError, "out of memory or disk in l2i (node n)"),
        ("MemoryError", "", ServerError, "MemoryError"),
        ("RuntimeError", "a" * 9000, ExecutionFailed, "aaa…"),
    ],
)
def test_a_failed_item_says_why_without_the_servers_paths(kind, message, error, words):
    failed = item(2, "failed", error_type=kind, error_message=message, error_traceback="Traceback /srv/x")
    ending = ending_error([item(1, "canceled"), failed])
    assert type(ending) is error
    assert words in str(ending)
    assert "/srv" not in str(ending)


def test_an_item_that_somebody_cancelled_is_tried_again():
    assert isinstance(ending_error([item(1), item(2, "canceled")]), ServerError)
    assert ending_error([item(1), item(2)]) is None


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (500, {"detail": "x"}, ServerError, "answers 500"),
        (422, {"detail": "odd"}, Rejected, "rejects the graph"),
        (422, None, Rejected, "rejects the graph"),
        (
            422,
            {"detail": [{"loc": ["body", "batch", "graph", "nodes", "a"], "msg": "b" * 9000, "input": "secret"}]},
            Rejected,
            "graph.nodes.a: bbb",
        ),
        (422, {"detail": [{"loc": ["body"], "msg": "Value error, no"}]}, Rejected, "no"),
    ],
)
def test_a_refusal_is_short_and_repeats_no_graph(status, body, error, words):
    refused = refusal(status, body)
    assert type(refused) is error
    assert words in str(refused)
    assert "secret" not in str(refused)
    assert len(str(refused)) <= 500
