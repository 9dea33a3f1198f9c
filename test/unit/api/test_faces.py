"""The versions of the API: how each reads a request, names its errors, warns and answers."""

import json
from dataclasses import replace

import pytest

from contract.deadlines import DEFAULT_DEADLINES
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

METADATA = {"id": "test-t2i", "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output", "context": ""}
CHECKPOINT = "v1-5-pruned-emaonly.safetensors"
SCRIPTS = {"task": "text-to-image", "sd_model_checkpoint": CHECKPOINT, "id_task": "test-t2i"}
NODE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
NO_FIELD = "is no field of SD WebUI 1.10.1, which ignores it; did you mean"


def v1alpha2(content=None, **metadata):
    content = {"prompt": "A dog"} if content is None else content
    return {"task": {"metadata": {**METADATA, **metadata}, "content": content}}


def v1alpha1(scripts=None, **body):
    return {"alwayson_scripts": {**SCRIPTS, **(scripts or {})}, "prompt": "A dog", **body}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1alpha2", v1alpha2(), {"runtime": "sdruntime", "output_location": "s3://bucket/output/test-t2i"}),
        (
            *("/v1alpha1", v1alpha1({"save_dir": "outputs"})),
            {"sd_model_checkpoint": CHECKPOINT, "output_location": "s3://bucket/outputs/test-t2i"},
        ),
    ],
)
def test_a_version_answers_as_it_always_has(door, path, body, expected):
    status, answer = door.send(body, path=path)
    assert (status, len(answer.pop("job"))) == (200, 36)
    assert answer == {"id_task": "test-t2i", **expected}


def test_v1alpha1_becomes_the_same_task_as_v1alpha2(door):
    door.send(v1alpha1(), path="/v1alpha1")
    message = json.loads(door.published["Message"])
    names = ("id", "runtime", "tasktype", "prefix")
    assert [message["metadata"][name] for name in names] == ["test-t2i", "sdruntime", "text-to-image", "output"]
    assert message["content"] == v1alpha1()


def at(place, **errors):
    return {f"{place}.{key}": words for key, words in errors.items()}


ERRORS = {
    "v1alpha2, all at once": (
        v1alpha2(
            *({"steps": 0, "width": "wide", "prompt": 1, "alwayson_scripts": []},),
            id="../x",
            prefix="_tasks",
            context="x" * 20000,
        ),
        at("task.metadata", id="", prefix="", context="")
        | at("task.content", steps="", width="", prompt="")
        | at("task.content", alwayson_scripts=""),
    ),
    "v1alpha1, all at once, under its own names": (
        v1alpha1({"id_task": "a/b", "save_dir": "/etc", "task": "fly"}, steps=0),
        at("alwayson_scripts", id_task="", save_dir="", task=""),
    ),
    "a field of v1alpha1's content": (v1alpha1(width=10**400), {"width": ""}),
    "an empty v1alpha2 task": (
        {"task": {"metadata": {}}},
        at("task.metadata", id="is required", runtime="is required", tasktype="is required")
        | at("task", content="is required: the model server's own request"),
    ),
    "an empty v1alpha1 body": (
        {"alwayson_scripts": {}},
        at("alwayson_scripts", sd_model_checkpoint="is required", id_task="is required", task="is required"),
    ),
    "an unknown runtime": (
        v1alpha2(runtime="nope"),
        at("task.metadata", runtime='"nope" is no runtime here; use sdruntime, dynamic, comfy or kontext'),
    ),
    "a runtime with a letter left out": (
        v1alpha2(runtime="sdruntme"),
        at(
            "task.metadata",
            runtime='"sdruntme" is no runtime here; use sdruntime, dynamic, comfy or kontext; did you mean sdruntime?',
        ),
    ),
    **{
        f"a {key} of {len(value)} letters": (v1alpha2(**{key: value}), at("task.metadata", **{key: ""}))
        for key in ("runtime", "tasktype")
        for value in ("", "a" * 300_000)
    },
    "v1alpha1's task as a number": (v1alpha1({"task": 5}), at("alwayson_scripts", task="")),
    "pipeline in v1alpha1": (
        v1alpha1({"task": "pipeline"}),
        at("alwayson_scripts", task='must be text-to-image, image-to-image or extra-batch-images, not "pipeline"'),
    ),
    **{
        f"content {content}": ({"task": {"metadata": METADATA, "content": content}}, at("task", content=""))
        for content in (None, [], "x", 1)
    },
    "a task type that the runtime's model has not": (
        v1alpha2({"prompt": "a"}, runtime="kontext", tasktype="inpainting"),
        at("task.metadata", tasktype='must be edit or text-to-image for runtime kontext (flux), not "inpainting"'),
    ),
    "a task type of another runtime": (v1alpha2(tasktype="pipeline"), at("task.metadata", tasktype="for runtime sdr")),
    "deadlines above the limits": (
        v1alpha2(deadlines={"start_seconds": 259201, "execution_seconds": 3601, "stall_seconds": 4000}),
        at(
            "task.metadata.deadlines",
            start_seconds="may be at most 259200 for runtime sdruntime",
            execution_seconds="may be at most 3600 for runtime sdruntime",
            stall_seconds="may be at most 3600 for runtime sdruntime",
        ),
    ),
    **{
        f"deadlines {deadlines}": (
            v1alpha2(deadlines=deadlines, id="a/b"),
            {f"task.metadata.{field}": "", "task.metadata.id": ""},
        )
        for deadlines, field in (
            (60, "deadlines"),
            ({"execution_seconds": 10**400}, "deadlines.execution_seconds"),
            ({"stall_seconds": "soon"}, "deadlines.stall_seconds"),
            ({"stall_seconds": 29.9}, "deadlines.stall_seconds"),
        )
    },
    **{
        f"a flux request with {key}": (
            v1alpha2({"instructions": "a", "image": "aGk=", key: 1}, runtime="kontext", tasktype="edit"),
            at("task.content", **{key: f"is not a known key; did you mean {meant}?"}),
        )
        for key, meant in (("loras", "lora_weights"), ("steps", "num_inference_steps"))
    },
    **{
        f"{beside} beside a workflow": (
            v1alpha2({"prompt": {"1": NODE}, "client_id": "x", **beside}, runtime="comfy", tasktype="pipeline"),
            at("task.content", **{next(iter(beside)): words}),
        )
        for beside, words in (
            ({"outputs": ["1"]}, "is not read beside prompt"),
            ({"execution_targets": ["1"]}, "did you mean partial_execution_targets?"),
            ({"partial_execution_targets": [1]}, "which are strings"),
            ({"partial_execution_targets": []}, "must be a list of node ids"),
            ({"partial_execution_targets": ["2"]}, "names nodes that the workflow does not"),
            ({"extra_data": "x"}, "must be an object"),
        )
    },
}


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_of_a_request_is_named_once_at_its_field(door, name):
    body, expected = ERRORS[name]
    path = "/v1alpha1" if "alwayson_scripts" in body else "/v1alpha2"
    status, answer = door.send(body, path=path)
    rows = [(row["field"], row["problem"]) for row in answer["error"]["details"]]
    assert (status, door.sns.calls) == (400, [])
    assert sorted(field for field, _ in rows) == sorted(expected)
    assert all(expected[field] in problem for field, problem in rows)


def test_a_deadline_is_held_against_its_own_runtimes_limit(make_door):
    limits = replace(DEFAULT_DEADLINES, max_execution_s=60)
    catalog = RuntimeCatalog([DeployedRuntime(name="sdruntime", type="sdwebui", dynamic_model=True, deadlines=limits)])
    errors = make_door(catalog).rejection(v1alpha2(deadlines={"execution_seconds": 61}))
    assert errors == at("task.metadata.deadlines", execution_seconds="may be at most 60 for runtime sdruntime")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1alpha2", v1alpha2(deadlines={"start_seconds": None})),
        ("/v1alpha2", v1alpha2(deadlines={"start_seconds": 259200, "execution_seconds": 3600, "stall_seconds": 30})),
        ("/v1alpha1", {"alwayson_scripts": {**SCRIPTS, "task": "extra-batch-images", "image_link": "s3://b/k"}}),
        ("/v1alpha2", v1alpha2({"imageList": [{"data": "s3://b/k", "name": "k"}]}, tasktype="extra-batch-images")),
        ("/v1alpha2", v1alpha2({"image": "aGk=", "upscaler_1": "x"}, tasktype="extra-single-image", runtime="dynamic")),
        ("/v1alpha2", v1alpha2({"1": NODE}, tasktype="pipeline", runtime="comfy")),
        ("/v1alpha2", v1alpha2({"instructions": "a", "image": "aGk="}, tasktype="edit", runtime="kontext")),
        ("/v1alpha2", v1alpha2({"prompt": "a", "steps": 1, "alwayson_scripts": {"any": {"args": []}}})),
    ],
)
def test_a_valid_request_is_taken_without_warnings(door, path, body):
    status, answer = door.send(body, path=path)
    assert (status, "warnings" in answer) == (200, False)


@pytest.mark.parametrize("metadata", [{"context": {"a": [None, 1.0]}}, {"prefix": None, "context": None}])
def test_a_context_is_published_as_it_came_and_null_in_metadata_is_left_out(door, metadata):
    door.send(v1alpha2(**metadata, deadlines=None))
    sent = json.loads(door.published["Message"])["metadata"]
    assert (sent["prefix"], json.dumps(sent.get("context"))) == ("output", json.dumps(metadata["context"]))


def test_a_checkpoint_goes_to_the_runtime_that_holds_it_or_to_the_only_dynamic_one(make_door):
    door = make_door()
    assert door.send(v1alpha1({"sd_model_checkpoint": "else.ckpt"}), path="/v1alpha1")[0] == 200
    assert door.published["MessageAttributes"]["runtime"]["StringValue"] == "dynamic"
    static = DeployedRuntime(name="s", type="sdwebui", model_filename="a.safetensors")
    dynamic = [DeployedRuntime(name=name, type="sdwebui", dynamic_model=True) for name in ("x", "y")]
    none = make_door(RuntimeCatalog([static])).rejection(v1alpha1(), path="/v1alpha1")
    assert none == at(
        "alwayson_scripts", sd_model_checkpoint=f'"{CHECKPOINT}" is no checkpoint here; use a.safetensors'
    )
    several = make_door(RuntimeCatalog([static, *dynamic])).rejection(v1alpha1(), path="/v1alpha1")
    assert "several runtimes (x, y)" in several["alwayson_scripts.sd_model_checkpoint"]


@pytest.mark.parametrize(
    ("path", "body", "field", "meant"),
    [
        ("/v1alpha2", v1alpha2({"Prompt": "a cat"}), "task.content.Prompt", "prompt"),
        ("/v1alpha2", v1alpha2({"negativePrompt": "a dog"}), "task.content.negativePrompt", "negative_prompt"),
        ("/v1alpha2", v1alpha2({"sampler": "Euler"}), "task.content.sampler", "sampler_name"),
        ("/v1alpha1", v1alpha1(promt="a"), "promt", "prompt"),
    ],
)
def test_a_misspelt_field_of_sd_webui_is_taken_with_a_warning_that_names_the_field_meant(
    door, path, body, field, meant
):
    status, answer = door.send(body, path=path)
    assert (status, answer["warnings"]) == (200, [{"field": field, "problem": f"{NO_FIELD} {meant}?"}])


def test_keys_of_the_frame_that_nothing_reads_are_warned_of(door):
    body = v1alpha2(webhook="https://example.com", contxt=1, deadlines={"start": 60})
    body["task"]["contents"] = {}
    body["webhook"] = 1
    status, answer = door.send(body)
    assert status == 200
    assert {row["field"]: row["problem"] for row in answer["warnings"]} == {
        "webhook": "is ignored",
        "task.contents": "is ignored; did you mean content?",
        "task.metadata.webhook": "is ignored",
        "task.metadata.contxt": "is ignored; did you mean context?",
        "task.metadata.deadlines.start": "is ignored; did you mean start_seconds?",
    }


def test_warnings_are_few_and_short(door):
    rows = door.send(v1alpha2({"x" * 500 + str(number): 1 for number in range(500)}))[1]["warnings"]
    assert len(rows) == 20
    assert all(len(row["field"]) <= 200 for row in rows)
