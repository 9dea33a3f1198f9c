import base64
import json
import queue
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from local.aws import OUTPUT_BUCKET
from test.kit.processes import PATIENCE_S, wait_for
from test.kit.web import posts_answered

PNG = b"\x89PNG"
HTTP = httpx.Client(timeout=PATIENCE_S, follow_redirects=True)
GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 255}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}


@pytest.fixture
def post(gateway):
    def send(path, body, place=gateway):
        return HTTP.post(f"{place.url}/comfyui-api/{path}", json=body, headers={"x-api-key": place.key})

    return send


def test_a_prompt_is_answered_with_its_pictures(place, post):
    job = uuid.uuid4().hex
    answer = post("prompt", {"id": job, "prompt": GRAPH}, place)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["id"], body["filenames"]) == (job, [f"{job}_x_00001_.png"])
    assert body["prompt"]["9"]["inputs"]["filename_prefix"] == f"{job}_x"
    assert base64.b64decode(body["images"][0]).startswith(PNG)
    assert body["stats"]["total_time"] >= body["stats"]["comfy_execution"]["duration"] > 0


def test_a_named_workflow_takes_its_inputs(gateway, post):
    stored = {"workflow": GRAPH, "inputs": {"color": {"node": "1", "field": "color"}}}
    HTTP.put(f"{gateway.url}/v1/workflows/tiny", json=stored, headers={"x-api-key": gateway.key}).raise_for_status()
    body = post("workflow/tiny", {"input": {"color": 7}}).json()
    assert (body["input"], body["prompt"]["1"]["inputs"]["color"], len(body["images"])) == ({"color": 7}, 7, 1)
    wrong = post("workflow/tiny", {"input": {"colour": 7}})
    assert (wrong.status_code, wrong.json()["location"]) == (400, "inputs")
    assert "colour" in wrong.json()["error"]


def test_results_lie_where_s3_says(post):
    asked = {"prompt": GRAPH, "s3": {"bucket": OUTPUT_BUCKET, "prefix": "mine"}}
    (image,) = post("prompt", asked).json()["images"]
    assert image.startswith(f"s3://{OUTPUT_BUCKET}/mine/")
    later = post("prompt", {**asked, "s3": {**asked["s3"], "async": True}})
    assert (later.status_code, later.json()["status"]) == (202, "ok")


@pytest.mark.parametrize(("field", "word"), [("webhook_v2", "prompt.complete"), ("webhook", "output.complete")])
def test_a_webhook_brings_links_to_the_pictures(post, field, word):
    told = queue.Queue()
    with posts_answered(lambda path, headers, body: told.put(json.loads(body)) or (200, {}, b"")) as receiver:
        answer = post("prompt", {"id": f"hook-{uuid.uuid4()}", "prompt": GRAPH, field: receiver})
        assert (answer.status_code, answer.json()["status"]) == (202, "ok")
        body = told.get(timeout=PATIENCE_S)
    assert (body.get("type") or body["event"], body["id"]) == (word, answer.json()["id"])
    assert HTTP.get(body["images"][0]).content.startswith(PNG)


def test_an_interrupted_prompt_is_answered_with_an_error_and_never_with_5xx(place, post, set_faults):
    set_faults("comfy", job_s=600)  # a hung job would ignore the interrupt, and hold the server beyond this test
    job = uuid.uuid4().hex
    jobs = {"params": {"task_id": job}, "headers": {"x-api-key": place.key}}
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(post, "prompt", {"id": job, "prompt": GRAPH}, place)
        wait_for(lambda: HTTP.get(f"{place.url}/v1/jobs", **jobs).json()["jobs"], lambda: "the job")
        assert post("interrupt", {"id": job}, place).json() == {"id": job, "interrupted": "success"}
        answer = held.result(PATIENCE_S)
    assert (answer.status_code, answer.json()["error"]) == (422, "Unprocessable Entity")
    (shown,) = HTTP.get(f"{place.url}/v1/jobs", **jobs).json()["jobs"]
    waited = HTTP.get(f"{place.url}/comfyui-api/jobs/{shown['job']}", headers={"x-api-key": place.key})
    assert waited.status_code == 422
    gone = post("interrupt", {"id": job}, place)
    assert (gone.status_code, gone.json()) == (404, {"id": job, "interrupted": "failed"})


def test_errors_name_what_is_wrong(gateway, post):
    def rejected(path, body, status, location):
        answer = post(path, body)
        assert (answer.status_code, answer.json().get("location")) == (status, location), answer.text
        return answer.json()["message"]

    rejected("prompt", {"prompt": "x"}, 400, "prompt")
    assert "prompt.1.inputs" in rejected("prompt", {"prompt": {"1": {"class_type": "SaveImage"}}}, 400, "prompt")
    assert "filename_prefix" in rejected("prompt", {"prompt": {"1": GRAPH["1"]}}, 400, "prompt")
    for field in ("convert_output", "http_upload", "credentials"):
        assert field in rejected("prompt", {"prompt": GRAPH, field: {"a": 1}}, 400, field)
    rejected("prompt", {"prompt": GRAPH, "s3": {"bucket": "another"}}, 400, "s3")
    rejected("prompt", {"prompt": GRAPH, "id": "../x"}, 400, "id")
    rejected("workflow/none", {"input": {}}, 404, None)
    assert "comfy" in rejected("prompt?runtime=fluxdev", {"prompt": GRAPH}, 404, None)


def test_the_servers_state_and_models_are_told(asgi):
    answers = {
        path: HTTP.get(f"{asgi.url}/comfyui-api/{path}", headers={"x-api-key": asgi.key}).json()
        for path in ("health", "ready", "models")
    }
    assert (answers["health"]["status"], answers["ready"]["status"]) == ("healthy", "ready")
    assert set(answers["models"]) == {"checkpoints", "loras", "vae", "upscale_models"}
    nobody = HTTP.get(f"{asgi.url}/comfyui-api/models")
    assert (nobody.status_code, nobody.json()["error"]) == (401, "Unauthorized")
