"""Keys that nothing reads: the task is taken, and its answer warns."""

import json

import pytest

NODE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}


def request(content, tasktype="text-to-image", runtime="sdruntime", **metadata):
    metadata = {"id": "a", "runtime": runtime, "tasktype": tasktype, **metadata}
    return {"task": {"metadata": metadata, "content": content}}


def warnings(door, body, path="/v1alpha2"):
    status, answer = door.send(body, path=path)
    assert status == 200
    return {row["field"]: row["problem"] for row in answer.get("warnings", [])}


@pytest.mark.parametrize(
    ("content", "field", "meant"),
    [
        ({"promt": "a cat"}, "task.content.promt", "prompt"),
        ({"Prompt": "a cat"}, "task.content.Prompt", "prompt"),
        ({"negativePrompt": "a dog"}, "task.content.negativePrompt", "negative_prompt"),
        ({"sampler": "Euler"}, "task.content.sampler", "sampler_name"),
        ({"cfgScale": 7}, "task.content.cfgScale", "cfg_scale"),
    ],
)
def test_a_misspelt_field_of_sd_webui_is_taken_with_a_warning_that_names_the_field_meant(door, content, field, meant):
    problem = f"is no field of SD WebUI 1.10.1, which ignores it; did you mean {meant}?"
    assert warnings(door, request(content)) == {field: problem}


def test_v1alpha1_warns_too(door):
    scripts = {"task": "text-to-image", "sd_model_checkpoint": "v1-5-pruned-emaonly.safetensors", "id_task": "a"}
    assert list(warnings(door, {"alwayson_scripts": scripts, "promt": "a"}, "/v1alpha1")) == ["promt"]


def test_keys_of_the_frame_that_nothing_reads_are_warned_of(door):
    body = request({"prompt": "a"}, webhook="https://example.com", contxt=1, deadlines={"start": 60})
    body["task"]["contents"] = {}
    body["webhook"] = 1
    assert warnings(door, body) == {
        "webhook": "is ignored",
        "task.contents": "is ignored; did you mean content?",
        "task.metadata.webhook": "is ignored",
        "task.metadata.contxt": "is ignored; did you mean context?",
        "task.metadata.deadlines.start": "is ignored; did you mean start_seconds?",
    }


@pytest.mark.parametrize(
    ("beside", "field", "problem"),
    [
        ({"outputs": ["1"]}, "outputs", "is not read beside prompt"),
        ({"execution_targets": ["1"]}, "execution_targets", "did you mean partial_execution_targets?"),
        ({"partial_execution_targets": "1"}, "partial_execution_targets", "must be a list of node ids"),
        ({"partial_execution_targets": [1]}, "partial_execution_targets", "which are strings"),
        ({"partial_execution_targets": []}, "partial_execution_targets", "must be a list of node ids"),
        ({"partial_execution_targets": ["2"]}, "partial_execution_targets", "names nodes that the workflow does not"),
        ({"extra_data": "x"}, "extra_data", "must be an object"),
    ],
)
def test_what_stands_beside_a_workflow_and_cannot_be_honoured_is_refused(door, beside, field, problem):
    content = {"prompt": {"1": NODE}, "client_id": "x", **beside}
    refused = door.refusal(request(content, "pipeline", "comfy"))
    assert refused.keys() == {f"task.content.{field}"}
    assert problem in refused[f"task.content.{field}"]


@pytest.mark.parametrize(
    ("content", "tasktype", "runtime"),
    [
        ({"prompt": "a", "steps": 1, "alwayson_scripts": {"any": {"args": []}}}, "text-to-image", "sdruntime"),
        ({"image": "aGk=", "upscaler_1": "x"}, "extra-single-image", "dynamic"),
        ({"1": NODE}, "pipeline", "comfy"),
        ({"instructions": "a", "image": "aGk="}, "edit", "kontext"),
    ],
)
def test_a_request_without_unknown_keys_is_answered_without_warnings(door, content, tasktype, runtime):
    status, answer = door.send(request(content, tasktype, runtime))
    assert (status, "warnings" in answer) == (200, False)


def test_warnings_are_few_and_short(door):
    response = door.respond(json.dumps(request({"x" * 500 + str(number): 1 for number in range(500)})))
    rows = json.loads(response["body"])["warnings"]
    assert len(rows) == 20
    assert all(len(row["field"]) <= 200 for row in rows)


@pytest.mark.parametrize(
    ("key", "meant"), [("loras", "lora_weights"), ("steps", "num_inference_steps"), ("promt", "prompt")]
)
def test_an_unknown_key_of_a_flux_request_is_refused_with_the_key_meant(door, key, meant):
    content = {"instructions": "a", "image": "aGk=", key: 1}
    if key == "promt":
        content, tasktype = {"prompt": "a", key: 1}, "text-to-image"
    else:
        tasktype = "edit"
    problem = door.refusal(request(content, tasktype, "kontext"))[f"task.content.{key}"]
    assert problem == f"is not a known key; did you mean {meant}?"
