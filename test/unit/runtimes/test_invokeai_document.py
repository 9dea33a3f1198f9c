"""What InvokeAI's tasks hold: graphs, exported workflows, and what stands beside them."""

import copy
import itertools

import pytest

from runtimes.invokeai.conversion import convert
from runtimes.invokeai.document import MAX_SESSIONS, read_document
from test.kit.editor import connector, exported, invocation, line, note, workflow_of
from test.kit.tasks import blank_image, drawing_graph, edge

TWO = {"nodes": {"a": blank_image(), "b": {"type": "img_resize"}}, "edges": [edge("a.image", "b.image")]}


def batch_node(node_id, items, group="None", kind="string_batch", field="strings"):
    return invocation(node_id, {"type": kind, field: items, "batch_group_id": group})


def datum(node, field, items):
    return {"node_path": node, "field_name": field, "items": items}


def errors(content):
    return [(error.pointer, error.detail) for error in read_document(content, ("content",)).errors]


def test_a_workflow_becomes_the_graph_it_was_made_from():
    graph = drawing_graph(seed=3)
    document = read_document({"workflow": exported(graph)})
    assert document.errors == []
    nodes = {key: {"id": key, "is_intermediate": key != "picture", **node} for key, node in graph["nodes"].items()}
    assert document.graph["nodes"] == nodes
    assert sorted(map(str, document.graph["edges"])) == sorted(map(str, graph["edges"]))


def test_connectors_lead_to_their_source_and_lines_from_nowhere_are_dropped():
    nodes = [note("n"), connector("c"), connector("d"), connector("e"), connector("f")]
    nodes += [invocation(key, {"type": "image"}) for key in "ab"]
    lines = [line("a.image", "c.in"), line("c.out", "d.in"), line("d.out", "b.image"), line("a.image", "b.image")]
    lines += [line("e.out", "b.x"), line("f.out", "e.in"), line("e.out", "f.in"), line("n.out", "b.y")]
    lines += [line("a.z", "b.z", kind="collapsed"), {"type": "default", "source": "a", "target": "b"}]
    assert convert(workflow_of(nodes, lines)).graph["edges"] == [edge("a.image", "b.image")]


def test_a_field_without_a_value_or_with_an_edge_is_left_out_and_so_is_the_board():
    fields = {"image": {"name": "image", "value": None}, "width": {"name": "width"}, "height": {"value": 0}}
    fields["board"] = {"value": {"board_id": "mine"}}
    nodes = [invocation("a", blank_image()), invocation("b", {"type": "img_resize"}, inputs=fields)]
    document = read_document(workflow_of(nodes, [line("a.image", "b.image")]))
    assert document.graph["nodes"]["b"] == {"height": 0, "id": "b", "type": "img_resize", "is_intermediate": True}


def test_batch_nodes_become_data_those_of_a_group_together():
    nodes = [
        invocation("t", {"type": "compel"}),
        invocation("n", {"type": "noise"}),
        batch_node("s", ["a", "b"], "Group 1"),
        batch_node("i", [1, 2], "Group 1", "integer_batch", "integers"),
        batch_node("p", [{"image_name": "https://a/b.png"}], kind="image_batch", field="images"),
        batch_node("unused", [1.5], kind="float_batch", field="floats"),
        connector("c"),
    ]
    lines = [line("s.value", "c.in"), line("c.out", "t.prompt"), line("i.value", "n.seed"), line("i.value", "n.width")]
    lines += [line("p.image", "t.mask"), line("p.value", "t.not_an_output")]
    document = read_document(workflow_of(nodes, lines))
    assert document.batch == [
        [datum("t", "prompt", ["a", "b"]), datum("n", "seed", [1, 2]), datum("n", "width", [1, 2])],
        [datum("t", "mask", [{"image_name": "https://a/b.png"}])],
    ]
    assert set(document.graph["nodes"]) == {"t", "n"}
    assert document.sessions == 2


@pytest.mark.parametrize(
    ("nodes", "lines", "pointer", "words"),
    [
        (
            [batch_node("s", []), invocation("g", {"type": "string_generator"}), invocation("t", {"type": "compel"})],
            [line("g.strings", "s.strings"), line("s.value", "t.prompt")],
            "content.nodes[0].data.inputs.strings",
            "is made by node g (string_generator), which runs in the editor alone; give string_batch its items itself",
        ),
        (
            [batch_node("s", [])],
            [],
            "content.nodes[0].data.inputs.strings",
            "must have items for string_batch (node s)",
        ),
        ([{"type": "invocation", "id": "a"}], [], "content.nodes[0]", "must have an id, and data with a type"),
        ([note("n")], [], "content.nodes", "must have a node that runs"),
        (
            [invocation("o", {"type": "gemini_image_generation"})],
            [],
            "content.nodes[0]",
            "is a node of type gemini_image_generation, which calls a hosted service",
        ),
    ],
)
def test_what_has_no_counterpart_in_a_graph_is_named(nodes, lines, pointer, words):
    assert (pointer, words) in errors(workflow_of(nodes, lines))


@pytest.mark.parametrize(
    ("content", "pointer", "words"),
    [
        ({}, "content", "must be a graph"),
        ({"graph": []}, "content.graph", "must be a graph"),
        ({"graph": TWO, "batches": []}, "content.batches", "is not read beside graph; did you mean batch?"),
        ({"nodes": {"a": {}}}, "content.nodes.a", "must be a node: an object with a type"),
        ({"nodes": {"a": {"type": "x", "id": "b"}}}, "content.nodes.a.id", "must be the node's key in nodes"),
        ({"nodes": {"a": {"type": "x"}}, "edges": {}}, "content.edges", "must be a list"),
        ({"nodes": {"a": {"type": "x"}}, "edges": [3]}, "content.edges[0].source", "must have a node_id and a field"),
        (
            {"nodes": {"alpha": blank_image()}, "edges": [edge("alpa.image", "alpha.x")]},
            "content.edges[0].source.node_id",
            "names no node of the graph; did you mean alpha?",
        ),
        ({"nodes": {"a": {"type": "string_batch"}}}, "content.nodes.a", "use batch beside the graph"),
        ({"workflow": {"nodes": [3], "edges": []}}, "content.workflow.nodes", "must be a list of objects"),
        ({"graph": TWO, "inputs": 3}, "content.inputs", "must be an object"),
        ({"graph": TWO, "inputs": {"c": {}}}, "content.inputs.c", "names no node"),
        ({"graph": TWO, "inputs": {"a": {"type": "x"}}}, "content.inputs.a.type", "cannot be set"),
        (
            {"workflow": exported(TWO), "inputs": {"a": {"widht": 3}}},
            "content.inputs.a.widht",
            "is no input of this node; did you mean width?",
        ),
        ({"graph": TWO, "batch": [[]]}, "content.batch", "must be a list of lists of data"),
        ({"graph": TWO, "batch": [[{}]]}, "content.batch[0][0]", "must have a node_path"),
        ({"graph": TWO, "batch": [[datum("c", "x", [1])]]}, "content.batch[0][0].node_path", "names no node that runs"),
        ({"graph": TWO, "batch": [[datum("a", "type", ["x"])]]}, "content.batch[0][0].field_name", "cannot set"),
        ({**TWO, "edges": [edge("a.image", "b.use_cache")]}, "content.nodes.b.use_cache", "cannot be set by an edge"),
        (
            {"graph": TWO, "batch": [[datum("a", "width", [1, 2])]] * 15_000},
            "content.batch",
            "makes far too many runs",
        ),
        (
            {"workflow": workflow_of([invocation("a", {"type": "image"}), note("a")], [])},
            "content.workflow.nodes[1].id",
            "is the id of an earlier node",
        ),
        ({"graph": TWO, "batch": [[datum("a", "x", [])]]}, "content.batch[0][0].items", "must not be empty"),
        (
            {"graph": TWO, "batch": [[datum("a", "width", [1]), datum("b", "width", [1, 2])]]},
            "content.batch",
            "has lists of unlike lengths that go together (for a, b)",
        ),
        (
            {"graph": TWO, "batch": [[datum("a", "width", [*range(11)])], [datum("b", "width", [*range(11)])]]},
            "content.batch",
            f"makes 121 runs; a task may have at most {MAX_SESSIONS}",
        ),
    ],
)
def test_every_error_of_a_task_is_at_its_field(content, pointer, words):
    found = errors(content)
    assert pointer in [where for where, _ in found]
    assert any(words in detail for where, detail in found if where == pointer), found


def test_a_name_is_suggested_for_the_first_of_many_errors_alone():
    edges = [edge(f"alpha{number}.image", f"betas{number}.image") for number in range(50)]
    nodes = {f"alphas{number}": blank_image() for number in range(50)}
    assert 0 < sum("did you mean" in detail for _, detail in errors({"nodes": nodes, "edges": edges})) <= 10


def test_a_long_chain_of_connectors_is_passed_once():
    """Each connector's way up again would take minutes."""
    names = [f"c{number}" for number in range(20_000)]
    nodes = [*map(connector, names), *(invocation(key, {"type": "image"}) for key in "ab")]
    lines = [line("a.image", "c0.in"), line("c19999.out", "b.image")]
    lines += [line(f"{one}.out", f"{other}.in") for one, other in itertools.pairwise(names)]
    assert convert(workflow_of(nodes, lines)).graph["edges"] == [edge("a.image", "b.image")]


def test_inputs_set_fields_and_the_task_itself_stays_as_it_is():
    content = {"graph": copy.deepcopy(TWO), "inputs": {"b": {"width": 7, "board": {"board_id": "x"}}}}
    document = read_document(content)
    assert document.graph["nodes"]["b"] == {"type": "img_resize", "id": "b", "width": 7}
    document.graph["nodes"]["a"]["width"] = 1
    assert content["graph"] == TWO


def test_the_path_of_a_field_is_that_in_the_content():
    graph, workflow = read_document({"graph": TWO}, ("c",)), read_document(exported(TWO), ("c",))
    assert graph.path_of("a", "width") == ("c", "graph", "nodes", "a", "width")
    assert workflow.path_of("a", "color", "r") == ("c", "nodes", 2, "data", "inputs", "color", "value", "r")
