import json
from dataclasses import replace

import pytest

from contract.deadlines import DEFAULT_DEADLINES
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

METADATA = {"id": "test-t2i", "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output", "context": ""}
CHECKPOINT = "v1-5-pruned-emaonly.safetensors"


def v1alpha2(content=None, **metadata):
    return {
        "task": {"metadata": {**METADATA, **metadata}, "content": {"prompt": "A dog"} if content is None else content}
    }


def v1alpha1(scripts=None, **body):
    given = {"task": "text-to-image", "sd_model_checkpoint": CHECKPOINT, "id_task": "test-t2i", **(scripts or {})}
    return {
        "alwayson_scripts": {key: value for key, value in given.items() if value is not None},
        "prompt": "A dog",
        **body,
    }


def test_v1alpha2_answers_as_the_contract_has_it(door):
    status, answer = door.send(v1alpha2())
    assert status == 200
    job = answer.pop("job")
    assert len(job) == 36
    assert answer == {
        "id_task": "test-t2i",
        "runtime": "sdruntime",
        "output_location": "s3://bucket/output/test-t2i",
    }


def test_v1alpha1_answers_as_the_contract_has_it(door):
    status, answer = door.send(v1alpha1({"save_dir": "outputs"}), path="/v1alpha1")
    assert status == 200
    assert answer.pop("job")
    assert answer == {
        "id_task": "test-t2i",
        "sd_model_checkpoint": CHECKPOINT,
        "output_location": "s3://bucket/outputs/test-t2i",
    }


def test_v1alpha1_becomes_the_same_task_as_v1alpha2(door):
    door.send(v1alpha1(), path="/v1alpha1")
    message = json.loads(door.published["Message"])
    assert message["metadata"]["id"] == "test-t2i"
    assert message["metadata"]["runtime"] == "sdruntime"
    assert message["metadata"]["tasktype"] == "text-to-image"
    assert message["metadata"]["prefix"] == "output"
    assert message["content"] == v1alpha1()
    assert door.published["MessageAttributes"]["runtime"]["StringValue"] == "sdruntime"


def test_every_fault_of_a_v1alpha2_request_is_named_at_once(door):
    faults = door.refusal(
        v1alpha2(
            id="../x",
            prefix="_tasks",
            context="x" * 20000,
            content={"steps": 0, "width": "wide", "prompt": 1, "alwayson_scripts": []},
        )
    )
    assert set(faults) == {
        "task.metadata.id",
        "task.metadata.prefix",
        "task.metadata.context",
        "task.content.steps",
        "task.content.width",
        "task.content.prompt",
        "task.content.alwayson_scripts",
    }


def test_every_fault_of_a_v1alpha1_request_is_named_at_once_in_its_own_words(door):
    body = v1alpha1({"id_task": "a/b", "save_dir": "/etc", "task": "fly"}, steps=0)
    assert set(door.refusal(body, path="/v1alpha1")) == {
        "alwayson_scripts.id_task",
        "alwayson_scripts.save_dir",
        "alwayson_scripts.task",
    }


def test_a_deadline_above_the_runtimes_limit_is_refused_with_the_limit(door):
    deadlines = {"start_seconds": 259201, "execution_seconds": 3601, "stall_seconds": 4000}
    assert door.refusal(v1alpha2(deadlines=deadlines)) == {
        "task.metadata.deadlines.start_seconds": "may be at most 259200 for runtime sdruntime",
        "task.metadata.deadlines.execution_seconds": "may be at most 3600 for runtime sdruntime",
        "task.metadata.deadlines.stall_seconds": "may be at most 3600 for runtime sdruntime",
    }


def test_a_deadline_is_held_against_its_own_runtimes_limit(make_door):
    limits = replace(DEFAULT_DEADLINES, max_execution_s=60)
    catalog = RuntimeCatalog([DeployedRuntime(name="sdruntime", type="sdwebui", dynamic_model=True, deadlines=limits)])
    faults = make_door(catalog).refusal(v1alpha2(deadlines={"execution_seconds": 61}))
    assert faults == {"task.metadata.deadlines.execution_seconds": "may be at most 60 for runtime sdruntime"}


@pytest.mark.parametrize(
    "deadlines",
    [None, {}, {"start_seconds": None}, {"start_seconds": 259200, "execution_seconds": 3600, "stall_seconds": 30}],
)
def test_deadlines_up_to_the_limits_are_taken(door, deadlines):
    assert door.send(v1alpha2(deadlines=deadlines))[0] == 200


def test_unknown_keys_of_deadlines_are_ignored_as_those_of_metadata_are(door):
    assert door.send(v1alpha2(deadlines={"later": 1}, later=1))[0] == 200


@pytest.mark.parametrize(
    ("deadlines", "field"),
    [
        ([], "deadlines"),
        (60, "deadlines"),
        ({"start_seconds": 0}, "deadlines.start_seconds"),
        ({"execution_seconds": -1}, "deadlines.execution_seconds"),
        ({"stall_seconds": "soon"}, "deadlines.stall_seconds"),
        ({"stall_seconds": 29.9}, "deadlines.stall_seconds"),
        ({"stall_seconds": 1e-9}, "deadlines.stall_seconds"),
    ],
)
def test_deadlines_that_make_no_sense_are_refused_beside_every_other_fault(door, deadlines, field):
    assert set(door.refusal(v1alpha2(deadlines=deadlines, id="a/b"))) == {f"task.metadata.{field}", "task.metadata.id"}


def test_an_empty_v1alpha2_task_names_all_that_is_missing(door):
    assert door.refusal({"task": {"metadata": {}}}) == {
        "task.metadata.id": "is required",
        "task.metadata.runtime": "is required",
        "task.metadata.tasktype": "is required",
        "task.content": "is required: the model server's own request",
    }


def test_an_empty_v1alpha1_body_names_all_that_is_missing(door):
    assert set(door.refusal({"alwayson_scripts": {}}, path="/v1alpha1")) == {
        "alwayson_scripts.sd_model_checkpoint",
        "alwayson_scripts.id_task",
        "alwayson_scripts.task",
    }


def test_an_unknown_runtime_is_refused_with_those_deployed(door):
    assert door.refusal(v1alpha2(runtime="nope"))["task.metadata.runtime"] == (
        '"nope" is no runtime here; use sdruntime, dynamic, comfy or kontext'
    )


@pytest.mark.parametrize("key", ["runtime", "tasktype"])
@pytest.mark.parametrize("value", ["", "a" * 300_000])
def test_a_name_that_cannot_be_one_is_one_fault(door, key, value):
    _, body = door.send(v1alpha2(**{key: value}))
    assert [row["field"] for row in body["error"]["details"]] == [f"task.metadata.{key}"]


def test_a_checkpoint_that_no_runtime_holds_goes_to_the_only_dynamic_one(door):
    assert door.send(v1alpha1({"sd_model_checkpoint": "else.ckpt"}), path="/v1alpha1")[0] == 200
    assert door.published["MessageAttributes"]["runtime"]["StringValue"] == "dynamic"


def test_a_checkpoint_that_nothing_serves_is_refused_with_those_deployed(make_door):
    static = DeployedRuntime(name="s", type="sdwebui", model_filename="a.safetensors")
    dynamic = [DeployedRuntime(name=name, type="sdwebui", dynamic_model=True) for name in ("x", "y")]
    field = "alwayson_scripts.sd_model_checkpoint"
    none = make_door(RuntimeCatalog([static])).refusal(v1alpha1(), path="/v1alpha1")
    assert none[field] == f'"{CHECKPOINT}" is no checkpoint here; use a.safetensors'
    several = make_door(RuntimeCatalog([static, *dynamic])).refusal(v1alpha1(), path="/v1alpha1")
    assert "several runtimes (x, y)" in several[field]


@pytest.mark.parametrize("tasktype", ["", "a" * 300_000, 5])
def test_a_task_type_of_v1alpha1_that_cannot_be_one_is_one_fault(door, tasktype):
    _, body = door.send(v1alpha1({"task": tasktype}), path="/v1alpha1")
    assert [row["field"] for row in body["error"]["details"]] == ["alwayson_scripts.task"]


@pytest.mark.parametrize("tasktype", ["text-to-image", "extra-batch-images"])
def test_v1alpha1_takes_its_task_types(door, tasktype):
    assert door.send(v1alpha1({"task": tasktype, "image_link": "s3://b/k"}), path="/v1alpha1")[0] == 200


@pytest.mark.parametrize("tasktype", ["extra-single-image", "pipeline"])
def test_v1alpha1_refuses_task_types_of_v1alpha2_alone(door, tasktype):
    problem = door.refusal(v1alpha1({"task": tasktype}), path="/v1alpha1")["alwayson_scripts.task"]
    assert problem == f'must be text-to-image, image-to-image or extra-batch-images, not "{tasktype}"'


@pytest.mark.parametrize(
    ("runtime", "tasktype", "taken"),
    [("sdruntime", "pipeline", False), ("comfy", "text-to-image", False), ("sdruntime", "extra-batch-images", True)],
)
def test_a_runtime_takes_only_the_task_types_of_its_type(door, runtime, tasktype, taken):
    body = v1alpha2({"imageList": [{"data": "s3://b/k", "name": "k"}]}, runtime=runtime, tasktype=tasktype)
    if taken:
        assert door.send(body)[0] == 200
    else:
        assert f"for runtime {runtime} (" in door.refusal(body)["task.metadata.tasktype"]


@pytest.mark.parametrize(
    "context", [None, True, 0, 1.5, "", "text", [], [1, {"a": None}], {"abc": 123}, {"nested": {"a": [1, 2.0]}}]
)
def test_a_context_is_published_as_it_came(door, context):
    door.send(v1alpha2(context=context))
    sent = json.loads(door.published["Message"])["metadata"].get("context")
    assert json.dumps(sent) == json.dumps(context)


@pytest.mark.parametrize("key", ["prefix", "context", "deadlines"])
def test_null_in_metadata_is_taken_for_left_out(door, key):
    door.send(v1alpha2(**{key: None}))
    assert json.loads(door.published["Message"])["metadata"]["prefix"] == "output"
