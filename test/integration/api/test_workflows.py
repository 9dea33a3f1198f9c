"""Named workflows, and the jobs that run them."""

import base64
import json
import random

import pytest

from contract.objects import tenant_label
from jobs import requests
from local.api_key import API_KEY_ID
from test.kit.tasks import content_of, node, save_image

SKETCH = {"1": node("LoadImage", image="in.png"), "2": save_image()}


@pytest.fixture
def api(waiting_api, shell):
    return waiting_api(shell, "comfyui")


def put(api, name="sketch", workflow=None, key="key", **changes):
    body = {"workflow": content_of("comfyui") if workflow is None else workflow, **changes}
    return api.call("PUT", f"/workflows/{name}", body, key=key)


def run(api, inputs, *, name="sketch", key="key", **changes):
    content = {"workflow": name, "inputs": inputs}
    return api.call(
        "POST", "/jobs", {"runtime": api.rig.name, "type": "workflow", "content": content, **changes}, key=key
    )


def published(api):
    """The content of the one task that agents can take."""
    (message,) = api.rig.aws.take(api.rig.queue, wait_s=5)
    body = json.loads(message["Body"])
    return json.loads(body["Message"])["content"] if "Message" in body else body["content"]


def problems(answer):
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.text
    return {one["pointer"]: (one["detail"], one.get("suggestion")) for one in answer.json()["errors"]}


def test_a_workflow_is_stored_listed_shown_replaced_and_deleted(api):
    stored = put(api, "a.b-C_1", description="a sketch")
    assert stored.status_code == 200
    assert stored.headers["etag"] == f'"{stored.json()["version"]}"'
    assert stored.json()["inputs"]["seed"] == {
        "node": "4",
        "field": "seed",
        "type": "integer",
        "default": 1,
        "required": False,
    }
    assert api.get("/workflows/a.b-C_1") == stored.json()
    replaced = put(api, "a.b-C_1", SKETCH).json()
    assert api.get("/workflows/a.b-C_1") == replaced != stored.json()
    put(api, "b")
    listed = api.get("/workflows")
    assert ([one["name"] for one in listed["workflows"]], listed["next"]) == (["a.b-C_1", "b"], None)
    assert listed["workflows"][0]["version"] == replaced["version"]
    assert [one["name"] for one in api.get("/workflows?cursor=a.b-C_1")["workflows"]] == ["b"]
    assert {api.call("GET", f"/workflows?cursor={none}").status_code for none in ("%01", "../", "")} == {400}
    for _ in range(2):
        assert api.call("DELETE", "/workflows/b").status_code == 204
    assert api.call("GET", "/workflows/b").status_code == 404
    schema = api.get("/workflows/a.b-C_1/schema")
    assert schema["properties"]["image"]["default"] == "in.png"
    assert (schema["required"], schema["additionalProperties"]) == ([], False)


def test_workflows_are_their_tenants_alone(api):
    put(api)
    for key in ("other-key", "admin-key"):
        assert api.get("/workflows", key=key)["workflows"] == []
        for method, path in (("GET", ""), ("GET", "/schema"), ("DELETE", "")):
            assert api.call(method, f"/workflows/sketch{path}", key=key).status_code in {404, 204}
        assert problems(run(api, {}, key=key)) == {"#/content/workflow": ("is no workflow of yours", None)}
        put(api, workflow=SKETCH, key=key)
    assert "seed" in api.get("/workflows/sketch")["inputs"]
    assert api.call("GET", "/workflows", key=None).status_code == 401
    for odd in ("..", ".x", "a%2Fb", "%2e%2e%2f" + tenant_label(API_KEY_ID), "x" * 65, "a%0a"):
        assert api.call("GET", f"/workflows/{odd}").status_code in {400, 404}, odd
        assert put(api, odd).status_code in {400, 404, 405}, odd


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"#/workflow"}),
        ({"workflow": {}}, {"#/workflow"}),
        ({"workflow": {"nodes": []}, "inputs": 1, "x": 1}, {"#/inputs", "#/x"}),
        ({"workflow": {"nodes": []}}, {"#/workflow"}),
        ({"workflow": {"1": {"class_type": "A"}}}, {"#/workflow/1/inputs"}),
        ({"workflow": SKETCH, "inputs": {"a b": {"node": "1", "field": "image"}}}, {"#/inputs/a b"}),
        (
            {
                "workflow": SKETCH,
                "inputs": {
                    "a": {"node": "9", "field": "image"},
                    "b": {"node": "1", "field": "picture"},
                    "c": {"node": "2", "field": "images"},
                    "d": {"node": "1", "field": "image", "type": "number", "default": "x"},
                },
            },
            {"#/inputs/a/node", "#/inputs/b/field", "#/inputs/c/field", "#/inputs/d/default"},
        ),
    ],
)
def test_a_workflow_with_errors_is_refused_with_all_of_them(api, body, pointers):
    assert set(problems(api.call("PUT", "/workflows/sketch", body))) == pointers


def test_a_workflows_inputs_are_told_without_storing_it(api):
    def told(body, name=api.rig.name):
        return api.call("POST", f"/runtimes/{name}/workflow-inputs", body)

    found = told({"workflow": content_of("comfyui")})
    assert found.status_code == 200
    assert found.json()["inputs"] == put(api).json()["inputs"]
    assert found.json()["inputs_schema"] == api.get("/workflows/sketch/schema")
    own = {"picture": {"node": "1", "field": "image", "required": True}}
    assert told({"workflow": SKETCH, "inputs": own}).json()["inputs_schema"]["required"] == ["picture"]
    assert [one["name"] for one in api.get("/workflows")["workflows"]] == ["sketch"]
    assert set(problems(told({"workflow": {"nodes": []}, "x": 1}))) == {"#/x"}
    assert set(problems(told({"workflow": {"nodes": []}}))) == {"#/workflow"}
    assert told({"workflow": SKETCH}, "nowhere").status_code == 404


def test_a_workflow_that_is_too_large_is_refused(api):
    assert set(problems(put(api, workflow={"1": node("A", text="x" * 1024 * 1024)}))) == {"#/workflow"}


def test_a_job_of_a_workflow_runs_it_with_its_inputs_and_is_repeated_with_others(kit, shell, make_api):
    with kit.rig("comfyui") as rig:
        rig.add_pod().start()
        api = make_api(rig, shell)
        put(api, description="x")
        job = run(api, {"prompt": "a cat", "seed": 7, "width": 32}, context="mine").json()
        done = api.wait(job["job"])
        assert (done["state"], done["error"], len(done["images"])) == ("succeeded", None, 1)
        request = api.get(job["links"]["request"])
        asked = {"workflow": "sketch", "inputs": {"prompt": "a cat", "seed": 7, "width": 32}}
        assert (request["type"], request["content"]) == ("workflow", asked)
        manifest = api.call("GET", f"/jobs/{job['job']}/outputs/0?redirect=0").text
        assert "a cat" in manifest
        changed = {"content": {"inputs": {"seed": 8, "prompt": None}}}
        again = api.call("POST", f"/jobs/{job['job']}/retry", changed).json()
        assert (again["warnings"], again["context"], again["retry_of"]) == ([], "mine", job["job"])
        assert api.get(again["links"]["request"])["content"]["inputs"] == {"seed": 8, "width": 32}
        put(api, workflow={**content_of("comfyui"), "note": node("Note", text="new")})
        third = api.call("POST", f"/jobs/{job['job']}/retry", {}).json()
        assert [one["pointer"] for one in third["warnings"]] == ["content.workflow"]
        api.call("DELETE", "/workflows/sketch")
        gone = api.call("POST", f"/jobs/{job['job']}/retry", {})
        assert set(problems(gone)) == {"#/content/workflow"}


def test_agents_get_the_workflow_itself_and_the_keeper_can_publish_it_again(api):
    put(api, inputs={"words": {"node": "2", "field": "text", "required": True}, "s": {"node": "4", "field": "seed"}})
    job = run(api, {"words": "a dog"}, id="t-1").json()
    assert (job["type"], job["warnings"]) == ("pipeline", [])
    expected = content_of("comfyui")
    expected["2"]["inputs"]["text"] = "a dog"
    assert published(api) == expected
    assert api.rig.store.run(requests.content(job["job"])) == expected


def test_wrong_inputs_are_named_each_with_the_nearest_known_one(api):
    put(
        api,
        inputs={
            "words": {"node": "2", "field": "text", "required": True},
            "seed": {"node": "4", "field": "seed"},
            "cfg": {"node": "4", "field": "cfg", "type": "number"},
            "tiled": {"node": "5", "field": "tiled", "type": "boolean", "default": False},
        },
    )
    assert problems(run(api, {"sead": 1, "seed": "x", "cfg": True, "tiled": 0})) == {
        "#/content/inputs/sead": ("is no input of the workflow", "seed"),
        "#/content/inputs/seed": ('must be a whole number, not "x"', None),
        "#/content/inputs/cfg": ("must be a number, not true", None),
        "#/content/inputs/tiled": ("must be true or false, not 0", None),
        "#/content/inputs/words": ("is required: a string", None),
    }
    assert problems(run(api, {}, name="sketsh")) == {"#/content/workflow": ("is no workflow of yours", "sketch")}
    assert set(problems(run(api, [], contxt=1))) == {"#/content/inputs", "#/contxt"}
    body = {"runtime": api.rig.name, "type": "workflow", "content": {"name": "sketch"}}
    assert set(problems(api.call("POST", "/jobs", body))) == {"#/content/name", "#/content/workflow"}
    assert set(problems(api.call("POST", "/jobs", {**body, "content": None}))) == {"#/content"}
    assert set(problems(api.call("POST", "/jobs", {**body, "runtime": "nowhere"}))) == {"#/runtime"}


def test_a_large_workflow_is_kept_in_the_bucket_and_what_named_it_in_the_table(api):
    words = base64.b64encode(random.Random(1).randbytes(300_000)).decode()
    put(api, workflow={**content_of("comfyui"), "note": node("Note", words=words)})
    job = run(api, {"seed": 7}).json()
    assert api.get(job["links"]["request"])["content"] == {"workflow": "sketch", "inputs": {"seed": 7}}
    assert api.rig.store.run(requests.content(job["job"])) is None
    stored = json.loads(api.rig.read(f"s3://{api.rig.bucket}/_tasks/{job['job']}.json"))
    assert (stored["4"]["inputs"]["seed"], stored["note"]["inputs"]["words"]) == (7, words)


def test_very_many_wrong_inputs_are_answered_with_the_first_ones(api):
    put(api)
    answer = run(api, {f"input-{number}": number for number in range(50_000)})
    assert len(problems(answer)) == 100
