import base64
import io

import pytest
from PIL import Image

from contract.ids import new_job_id
from test.kit.editor import exported, invocation, line
from test.kit.tasks import INPUT_PNG, INVOKE_MODEL, blank_image, drawing_graph, edge, linking_content


def sizes(rig, notice):
    return [Image.open(io.BytesIO(rig.read(url))).size for url in notice["image_url"]]


def seeds(rig, notice):
    return [picture["seed"] for picture in rig.manifest(notice)["pictures"]]


def resized(**fields):
    return {"type": "img_resize", "width": 16, "height": 16, **fields}


def test_a_graph_becomes_a_picture_with_its_seed_and_leaves_nothing_on_the_server(invokeai):
    notice = invokeai.run({"graph": drawing_graph(seed=42)}, context="c")
    assert (notice["result"], notice["context"], sizes(invokeai, notice)) == (True, "c", [(64, 64)])
    assert seeds(invokeai, notice) == [42]
    assert invokeai.manifest(notice)["model"] == "a"
    invokeai.until(lambda: invokeai.pod.model.left_behind == [])


def test_an_exported_workflow_runs_as_in_the_editor_with_the_inputs_that_the_task_sets(invokeai):
    workflow = exported(drawing_graph(seed=1))
    strings = {"strings": {"value": ["a", "b"]}, "batch_group_id": {"value": "Group 1"}}
    numbers = {"integers": {"value": [7, 8]}, "batch_group_id": {"value": "Group 1"}}
    workflow["nodes"] += [
        invocation("texts", {"type": "string_batch"}, inputs=strings),
        invocation("seeds", {"type": "integer_batch"}, inputs=numbers),
    ]
    workflow["edges"] += [line("texts.value", "text.prompt"), line("seeds.value", "noise.seed")]
    notice = invokeai.run({"workflow": workflow, "inputs": {"noise": {"width": 32}}})
    assert (sizes(invokeai, notice), seeds(invokeai, notice)) == ([(32, 64)] * 2, [7, 8])
    assert invokeai.run(exported(drawing_graph()))["result"]


def test_a_seed_that_the_graph_draws_by_chance_is_the_picture_s(invokeai):
    graph = drawing_graph()
    graph["nodes"]["chance"] = {"type": "rand_int", "low": 100, "high": 102}
    graph["edges"].append(edge("chance.value", "noise.seed"))
    assert seeds(invokeai, invokeai.run({"graph": graph}))[0] in {100, 101}


def test_pictures_of_all_nodes_that_are_not_intermediate_are_stored_in_the_order_of_runs_and_nodes(invokeai):
    nodes = {
        "last": resized(),
        "first": blank_image(is_intermediate=True),
        "same": {"type": "image"},  # it shows what another node has made
    }
    edges = [edge("first.image", "last.image"), edge("last.image", "same.image")]
    widths = {"node_path": "last", "field_name": "width", "items": [8, 12]}
    heights = {"node_path": "last", "field_name": "height", "items": [8, 9, 10]}
    notice = invokeai.run({"graph": {"nodes": nodes, "edges": edges}, "batch": [[widths], [heights]]})
    assert sizes(invokeai, notice) == [(width, height) for width in (8, 12) for height in (8, 9, 10)]


def test_pictures_behind_links_and_in_the_task_itself_are_uploaded_and_removed_again(invokeai):
    encoded = base64.b64encode(INPUT_PNG).decode()
    links = (invokeai.upload("inputs/a.png", INPUT_PNG), invokeai.web_link("inputs/a.png"))
    for given in (*links, encoded, f"data:image/png;base64,{encoded}"):
        notice = invokeai.run(linking_content("invokeai", given))
        assert sizes(invokeai, notice) == [(33, 24)], notice
    invokeai.until(lambda: invokeai.pod.model.left_behind == [])


def test_an_uploaded_picture_that_a_node_only_passes_on_is_no_result(invokeai):
    link = invokeai.upload("inputs/a.png", INPUT_PNG)
    nodes = {"given": {"type": "image", "image": {"image_name": link}}, "small": resized()}
    notice = invokeai.run({"nodes": nodes, "edges": [edge("given.image", "small.image")]})
    assert sizes(invokeai, notice) == [(16, 16)]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (
            {"nodes": {"m": {"type": "main_model_loader", "model": {**INVOKE_MODEL, "name": "aa"}}}},
            "rejected",
            "nodes.m.model names a model that the server does not have: aa (sd-1, main); there are a (sd-1), b (sd-1)",
        ),
        ({"nodes": {"r": resized()}}, "rejected", "img_resize (node r): Node img_resize missing value or connection"),
        ({"nodes": {"b": blank_image(width="x")}}, "rejected", "graph.nodes.b.blank_image.width: Input should be a"),
        ({"nodes": {"b": {"type": "blank_imag"}}}, "rejected", "graph.nodes.b: Input tag 'blank_imag' found"),
        ({"nodes": {"b": blank_image(is_intermediate=True)}}, "no_output", "only intermediate nodes made files"),
        ({"nodes": {"s": {"type": "string", "value": "a"}}}, "no_output", "ended without a file"),
        ({"nodes": {"o": {"type": "openai_image_generation"}}}, "invalid_task", "calls a hosted service"),
        (linking_content("invokeai", "mine.png"), "input_failed", "nodes.resized.image.image_name"),
    ],
)
def test_what_cannot_run_fails_the_task_and_says_why(invokeai, content, code, words):
    error = invokeai.run(content)["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert len(error["message"]) <= 500


def test_a_socket_that_says_nothing_or_closes_hangs_no_job(invokeai):
    told = ["queue_item_status_changed", "invocation_started", "invocation_progress", "invocation_complete"]
    for fault in ({"mute_events": told}, {"drop_socket_after": "invocation_started"}):
        invokeai.pod.model.faults(**fault)
        try:
            assert invokeai.run({"graph": drawing_graph()})["result"]
        finally:
            invokeai.pod.model.faults(mute_events=[], drop_socket_after="")


def test_two_equal_jobs_each_have_files_of_their_own(kit):
    with kit.rig("invokeai") as rig:
        pod = rig.add_pod(step_s=0.05).start()
        tasks = [rig.submit({"graph": drawing_graph(seed=3, steps=5)}) for _ in range(3)]
        assert [sizes(rig, rig.notice(task)) for task in tasks] == [[(64, 64)]] * 3
        rig.until(lambda: pod.model.left_behind == [])


def test_a_failed_run_of_a_batch_ends_the_others(kit):
    with kit.rig("invokeai") as rig:
        pod = rig.add_pod(step_s=0.05).start()
        pod.model.faults(fail_jobs=1)
        seeds = {"node_path": "noise", "field_name": "seed", "items": list(range(50))}
        error = rig.run({"graph": drawing_graph(steps=10), "batch": [[seeds]]})["error"]
        assert error["code"] == "execution_failed"
        rig.until(lambda: pod.model.left_behind == [])
        assert len(pod.generations) <= 3


def test_after_a_restart_of_the_server_what_ran_is_tried_again_and_what_waited_runs_once(kit):
    with kit.rig("invokeai", visibility_s=6) as rig:
        pod = rig.add_pod(step_s=0.05).start()
        rig.notice(rig.submit(steps=10, seed=5))  # from which the agent knows how long the next ones take
        pod.model.hold(9)
        jobs = [new_job_id() for _ in range(2)]
        running = rig.submit(steps=10, job=jobs[0])
        rig.until(lambda: any(one["outcome"] == "running" for one in pod.generations))
        waiting = rig.submit(steps=11, job=jobs[1])
        rig.until(lambda: pod.model.waiting)
        pod.server.kill()
        pod.start_server()
        assert rig.notice(running)["result"]
        assert rig.notice(waiting)["result"]
        assert [rig.record(job).attempts for job in jobs] == [2, 1]
        rig.until(lambda: pod.model.left_behind == [])
