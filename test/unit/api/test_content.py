import json

import pytest

from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.flux.options import ModelOptions

CHECKPOINT = "v1-5-pruned-emaonly.safetensors"
NODE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}


def request(content, tasktype="text-to-image", runtime="sdruntime"):
    return {"task": {"metadata": {"id": "a", "runtime": runtime, "tasktype": tasktype}, "content": content}}


@pytest.mark.parametrize(
    "spelling", [CHECKPOINT, "v1-5-pruned-emaonly", f"{CHECKPOINT} [6ce0161689]", "V1-5-Pruned-EmaOnly.safetensors", ""]
)
def test_a_static_runtime_takes_its_own_checkpoint_in_any_spelling(door, spelling):
    content = {
        "alwayson_scripts": {"sd_model_checkpoint": spelling},
        "override_settings": {"sd_model_checkpoint": spelling},
    }
    assert door.send(request(content))[0] == 200


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"alwayson_scripts": {"sd_model_checkpoint": "x.ckpt"}}, "alwayson_scripts.sd_model_checkpoint"),
        ({"override_settings": {"sd_model_checkpoint": "x"}}, "override_settings.sd_model_checkpoint"),
        (
            {"alwayson_scripts": {"override_settings": {"sd_model_checkpoint": "x [0123]"}}},
            "alwayson_scripts.override_settings.sd_model_checkpoint",
        ),
    ],
)
def test_a_static_runtime_refuses_another_checkpoint_wherever_it_is_asked_for(door, content, field):
    assert CHECKPOINT in door.rejection(request(content))[f"task.content.{field}"]


INFOTEXT = "a\nSteps: 20, Seed: 1, Size: 512x512, Model: {}"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"sd_model_checkpoint": "nosuch"}, "sd_model_checkpoint"),
        ({"refiner_checkpoint": "nosuch", "refiner_switch_at": 0.8}, "refiner_checkpoint"),
        ({"hr_checkpoint_name": "nosuch"}, "hr_checkpoint_name"),
        ({"override_settings": {"sd_checkpoint": "nosuch"}}, "override_settings.sd_checkpoint"),
        (
            {"alwayson_scripts": {"ADetailer": {"args": [{"ad_checkpoint": "nosuch"}]}}},
            "alwayson_scripts.ADetailer.args[0].ad_checkpoint",
        ),
        ({"infotext": INFOTEXT.format("nosuch")}, "infotext"),
    ],
)
def test_a_static_runtime_refuses_another_checkpoint_in_any_place_of_the_body(door, content, field):
    assert CHECKPOINT in door.rejection(request(content))[f"task.content.{field}"]


def test_an_infotext_gives_way_to_the_checkpoint_of_a_field(door):
    content = {"infotext": INFOTEXT.format("nosuch"), "override_settings": {"sd_model_checkpoint": CHECKPOINT}}
    assert door.send(request(content))[0] == 200


def test_a_refiner_in_an_infotext_counts_beside_the_checkpoint_of_a_field(door):
    infotext = "a\nSteps: 1, Seed: 1, Refiner: nosuch"
    content = {"infotext": infotext, "override_settings": {"sd_model_checkpoint": CHECKPOINT}}
    assert CHECKPOINT in door.rejection(request(content))["task.content.infotext"]


@pytest.mark.parametrize("content", [{"refiner_checkpoint": ""}, {"hr_checkpoint_name": "Use same checkpoint"}])
def test_a_name_that_says_no_checkpoint_is_none(door, content):
    assert door.send(request(content))[0] == 200


@pytest.mark.parametrize("runtime", ["sdruntime", "dynamic"])
def test_a_checkpoint_name_longer_than_any_files_is_refused(door, runtime):
    content = {"override_settings": {"sd_model_checkpoint": "x" * 513}}
    problems = door.rejection(request(content, runtime=runtime))
    assert problems == {"task.content.override_settings.sd_model_checkpoint": "may have at most 512 characters"}


def test_a_dynamic_runtime_takes_any_one_checkpoint_and_no_two(door, make_door):
    one = {"alwayson_scripts": {"sd_model_checkpoint": "x.ckpt"}, "override_settings": {"sd_model_checkpoint": "x"}}
    two = {"alwayson_scripts": {"sd_model_checkpoint": "x.ckpt"}, "override_settings": {"sd_model_checkpoint": "y"}}
    assert door.send(request(one, runtime="dynamic"))[0] == 200
    assert "another checkpoint than x.ckpt" in str(make_door().rejection(request(two, runtime="dynamic")))


@pytest.mark.parametrize(
    "content",
    [
        {"prompt": "a", "steps": 16, "width": 512, "height": 512, "seed": -1},
        {"steps": "20", "cfg_scale": "7.5"},
        {"steps": 1.5, "width": 70},
        {"prompt": "", "styles": ["nope"], "sampler_name": "nope", "unknown_field": {"a": 1}},
        {},
    ],
)
def test_what_sd_webui_takes_is_taken(door, content):
    assert door.send(request(content))[0] == 200


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": -1}, "steps"),
        ({"width": 0}, "width"),
        ({"height": -64}, "height"),
        ({"width": 4}, "width"),
        ({"batch_size": 0}, "batch_size"),
        ({"n_iter": 0}, "n_iter"),
        ({"seed": "x"}, "seed"),
        ({"cfg_scale": "hi"}, "cfg_scale"),
        ({"steps": True}, "steps"),
        ({"steps": []}, "steps"),
        ({"steps": "nan"}, "steps"),
        ({"denoising_strength": 1.1}, "denoising_strength"),
        ({"prompt": 1}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"override_settings": []}, "override_settings"),
    ],
)
def test_what_sd_webui_would_answer_with_an_error_is_refused(door, content, field):
    assert list(door.rejection(request(content))) == [f"task.content.{field}"]


@pytest.mark.parametrize(
    ("tasktype", "content"),
    [
        ("image-to-image", {"init_images": ["https://example.com/a.png"]}),
        ("image-to-image", {"alwayson_scripts": {"image_link": "s3://b/k"}}),
        ("extra-single-image", {"image": "iVBORw0KGgo="}),
        ("extra-batch-images", {"imageList": [{"data": "iVBORw0KGgo=", "name": "a"}]}),
    ],
)
def test_a_task_with_its_image_is_taken(door, tasktype, content):
    assert door.send(request(content, tasktype))[0] == 200


@pytest.mark.parametrize(
    ("tasktype", "content", "field"),
    [
        ("image-to-image", {}, "init_images"),
        ("image-to-image", {"init_images": []}, "init_images"),
        ("image-to-image", {"init_images": "https://example.com/a.png"}, "init_images"),
        ("image-to-image", {"init_images": [1]}, "init_images[0]"),
        ("image-to-image", {"init_images": ["a", None]}, "init_images[1]"),
        ("extra-single-image", {}, "image"),
        ("extra-single-image", {"image": ["a"]}, "image"),
        ("extra-single-image", {"image": "a", "upscaling_resize": 0}, "upscaling_resize"),
        ("extra-single-image", {"image": "a", "resize_mode": 7}, "resize_mode"),
        ("extra-batch-images", {"imageList": ["a"]}, "imageList[0]"),
        ("extra-batch-images", {"imageList": {}}, "imageList"),
    ],
)
def test_a_task_without_its_image_is_refused(door, tasktype, content, field):
    assert list(door.rejection(request(content, tasktype))) == [f"task.content.{field}"]


@pytest.mark.parametrize("content", [{"1": NODE}, {"prompt": {"1": NODE}}, {"prompt": {"1": NODE}, "extra_data": {}}])
def test_a_workflow_in_the_api_format_is_taken_bare_or_under_prompt(door, content):
    assert door.send(request(content, "pipeline", "comfy"))[0] == 200


@pytest.mark.parametrize("wrap", [lambda graph: graph, lambda graph: {"prompt": graph}])
def test_a_workflow_in_the_editors_format_is_refused_with_the_way_to_export_it(door, wrap):
    graph = {"nodes": [{"id": 1, "type": "SaveImage"}], "links": [], "version": 0.4}
    (problem,) = door.rejection(request(wrap(graph), "pipeline", "comfy")).values()
    assert "Export (API)" in problem


UI = {"nodes": [{"id": 1, "type": "SaveImage"}], "links": []}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"workflow": {"1": NODE}}, "workflow"),
        ({"input": {"workflow": {"1": NODE, "2": NODE}}}, "input.workflow"),
        ({"input": {"workflow": {"1": NODE}, "images": []}}, "input.workflow"),
        ({"input": {"prompt": {"1": NODE}}}, "input.prompt"),
        ({"workflow": UI}, "workflow"),
        ({"input": {"workflow": UI}}, "input.workflow"),
        ({"prompt": {"workflow": {"1": NODE}}}, "prompt.workflow"),
        ({"workflow": '{"1": {"class_type": "A", "inputs": {}}}'}, "workflow"),
    ],
)
def test_a_wrapped_workflow_is_refused_once_with_the_way_to_send_it(door, content, field):
    ((name, problem),) = door.rejection(request(content, "pipeline", "comfy")).items()
    assert name == f"task.content.{field}"
    assert "send the workflow itself as content" in problem


@pytest.mark.parametrize("prompt", ["", None])
def test_a_flux_prompt_may_be_empty_where_something_is_removed_and_nowhere_else(make_door, prompt):
    fill = DeployedRuntime(name="fill", type="flux", card=ModelOptions(profile="flux-fill").card)
    content = {"prompt": prompt, "image": "aGk=", "mask": "aGk="}
    assert make_door(RuntimeCatalog([fill])).send(request(content, "inpainting", "fill"))[0] == 200
    faults = make_door().rejection(request({"prompt": prompt}, "text-to-image", "kontext"))
    assert list(faults) == ["task.content.prompt"]


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ({}, {"task.content"}),
        ({"prompt": "a cat"}, {"task.content.prompt"}),
        ({"prompt": {}}, {"task.content.prompt"}),
        ({"1": {"inputs": {}}, "2": {"class_type": "A"}}, {"task.content.1.class_type", "task.content.2.inputs"}),
        ({"1": []}, {"task.content.1"}),
    ],
)
def test_what_is_no_workflow_is_refused_node_by_node(door, content, fields):
    assert set(door.rejection(request(content, "pipeline", "comfy"))) == fields


@pytest.mark.parametrize("content", [None, [], "x", 1])
def test_content_that_is_no_object_is_refused(door, content):
    assert "task.content" in door.rejection(request(content))


def test_a_flux_runtime_is_asked_for_what_its_model_does_alone(door):
    problem = door.rejection(request({"prompt": "a"}, "inpainting", "kontext"))["task.metadata.tasktype"]
    assert problem == 'must be edit or text-to-image for runtime kontext (flux), not "inpainting"'


def test_a_flux_request_is_checked_against_its_model(door):
    content = {"instructions": "make it night", "images": ["aGk=", "aGk="], "size": "huge"}
    faults = door.rejection(request(content, "edit", "kontext"))
    assert set(faults) == {"task.content.size", "task.content.images"}
    assert "at most 1" in faults["task.content.images"]


def test_a_flux_request_with_megabytes_of_picture_is_taken_and_kept_in_the_bucket(door):
    content = {"instructions": "make it night", "image": "A" * 6_000_000}
    assert door.send(request(content, "edit", "kontext"))[0] == 200
    assert [operation for operation, _ in door.s3.calls] == ["put_object"]


def test_a_large_content_is_kept_in_the_bucket_no_larger_than_it_came(door):
    content = {"prompt": "ü" * 1_500_000}
    assert door.send(request(content))[0] == 200
    ((_, stored),) = door.s3.calls
    assert len(stored["Body"]) < 3_100_000
    assert json.loads(stored["Body"]) == content


@pytest.mark.parametrize("factor", [0, -5, "0"])
def test_a_factor_must_be_above_zero(door, factor):
    refused = door.rejection(request({"image": "a", "upscaling_resize": factor}, "extra-single-image"))
    assert refused["task.content.upscaling_resize"].startswith("must be above 0, not ")
