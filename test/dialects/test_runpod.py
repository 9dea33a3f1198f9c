import base64
import io
import json
import queue

import httpx
import pytest
from PIL import Image

from test.kit.processes import PATIENCE_S
from test.kit.web import posts_answered

PNG = b"\x89PNG"
PROGRAM = "runpod_jobs.py"
HTTP = httpx.Client(timeout=PATIENCE_S)


def headers(place):
    return {"Authorization": f"Bearer {place.key}"}


@pytest.fixture(scope="module", params=["gateway", "asgi"])
def said(request, spent_key):
    """What the program of pictures and errors prints, by each line's first word."""
    place = request.getfixturevalue(request.param)
    lines = place.run(PROGRAM, "pictures,asynchronous,errors", SD_SPENT_KEY=spent_key)
    return {next(iter(line)): line for line in lines}


def test_pictures_come_as_the_runtimes_worker_sends_them(said):
    flux, sdwebui, aio = said["flux"]["flux"], said["sdwebui"]["sdwebui"], said["asyncio"]
    assert HTTP.get(flux["image_url"]).content.startswith(PNG)
    assert flux["images"] == [flux["image_url"]]
    assert base64.b64decode(sdwebui["images"][0]).startswith(PNG)
    assert json.loads(sdwebui["info"])["prompt"] == "a fox"
    assert sdwebui["parameters"]["cfg_scale"] == 3
    (edited,) = said["edited"]["edited"]
    assert base64.b64decode(edited).startswith(PNG)
    assert edited != sdwebui["images"][0]
    assert (aio["status"], aio["chunks"]) == ("COMPLETED", [])
    assert HTTP.get(aio["asyncio"]["image_url"]).content.startswith(PNG)


def test_a_workflow_takes_pictures_by_their_names_and_a_failed_one_ends_without_output(gateway, tmp_path):
    Image.new("RGB", (32, 16), "red").save(tmp_path / "in.png")
    done, failed = gateway.run(PROGRAM, "workflow", str(tmp_path / "in.png"))
    (image,) = done["output"]["images"]
    assert (image["filename"], image["type"]) == ("out_00001_.png", "base64")
    with Image.open(io.BytesIO(base64.b64decode(image["data"]))) as drawn:
        assert (drawn.size, drawn.getpixel((0, 0))) == ((32, 16), (255, 0, 0))
    assert failed == {"failed": None, "status": "FAILED", "stream": []}


def test_a_named_workflow_is_an_endpoint_that_takes_its_inputs_or_a_pictures_parameters(gateway):
    nodes = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 255}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "out"}},
    }
    inputs = {name: {"node": node, "field": name} for node, name in (("1", "width"), ("1", "height"), ("1", "color"))}
    inputs["prompt"] = {"node": "2", "field": "filename_prefix"}
    stored = {"workflow": nodes, "inputs": inputs}
    HTTP.put(f"{gateway.url}/v1/workflows/plain", json=stored, headers=headers(gateway)).raise_for_status()
    url = f"{gateway.url}/runpod/v2/plain/runsync"
    for given in ({"color": 7, "prompt": "seven"}, {"prompt": "seven", "n": 1, "width": 64, "height": 32}):
        (image,) = HTTP.post(url, json={"input": given}, headers=headers(gateway)).json()["output"]["images"]
        assert image["filename"] == "seven_00001_.png"
    wrong = HTTP.post(url, json={"input": {"colour": 7}}, headers=headers(gateway))
    assert (wrong.status_code, "did you mean color" in wrong.json()["error"]) == (400, True)


def test_errors_reach_the_clients_user_with_their_reason(said):
    expected = {
        "unknown": ("HTTPError", 404),
        "body": ("HTTPError", 400),
        "policy": ("HTTPError", 400),
        "storage": ("HTTPError", 400),
        "job": ("HTTPError", 404),
        "key": ("RuntimeError", None),
        "budget": ("HTTPError", 429),
    }
    found = {name: said[name][name] for name in expected}
    assert {name: (one["type"], one["status"]) for name, one in found.items()} == expected
    assert "did you mean fluxdev?" in found["unknown"]["words"]
    assert "prompt" in found["body"]["words"]
    assert "steps" in found["body"]["words"]
    assert "policy.executionTimeout" in found["policy"]["words"]


def test_waiting_jobs_are_purged_and_a_stream_ends_with_its_cancelled_job(gateway, set_faults):
    set_faults("comfy", hold_at_step=2)
    held, states, stream, output = gateway.run(PROGRAM, "held")
    assert held["health"]["jobs"]["inQueue"] > 0
    assert held["purged"] == {"removed": states["waiting"].count("CANCELLED"), "status": "completed"}
    assert held["purged"]["removed"] > 0
    assert states["running"] == "IN_PROGRESS"
    assert 0 < stream["chunk"]["progress"] < 1
    assert stream["cancelled"] == {"id": held["job"], "status": "CANCELLED"}
    assert output == {"output": None, "status": "CANCELLED"}
    job = HTTP.get(f"{gateway.url}/v1/jobs/{held['job']}/request", headers=headers(gateway)).json()
    assert job["deadlines"] == {"start_seconds": 90, "execution_seconds": 60}


def test_a_held_call_lets_go_of_a_job_that_has_not_ended(place, set_faults):
    set_faults("comfy", hold_at_step=2)
    url, body = f"{place.url}/runpod/v2/comfy", {"input": {"prompt": "a slow fox", "steps": 4}}
    with httpx.Client(headers=headers(place), timeout=PATIENCE_S) as client:
        job = client.post(f"{url}/runsync?wait=1000", json=body).json()
        assert job["status"] in {"IN_QUEUE", "IN_PROGRESS"}
        set_faults("comfy", hold_at_step=0)
        assert client.post(f"{url}/cancel/{job['id']}").json()["id"] == job["id"]


@pytest.mark.parametrize(
    "body", [{}, {"input": []}, {"input": {"workflow": {}, "images": [1]}}, [], {"input": {"x": 1}}]
)
def test_a_body_with_errors_makes_no_job(gateway, body):
    answer = HTTP.post(f"{gateway.url}/runpod/v2/comfy/run", json=body, headers=headers(gateway))
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_a_webhook_brings_what_the_status_says(gateway):
    told = queue.Queue()
    with posts_answered(lambda path, headers, body: told.put(json.loads(body)) or (200, {}, b"")) as receiver:
        url, body = f"{gateway.url}/runpod/v2/fluxdev", {"input": {"prompt": "a fox", "width": 64, "height": 64}}
        job = HTTP.post(f"{url}/run", json={**body, "webhook": receiver}, headers=headers(gateway)).json()
        status = told.get(timeout=PATIENCE_S)
    assert status == HTTP.get(f"{url}/status/{job['id']}", headers=headers(gateway)).json()
    assert HTTP.get(status["output"]["image_url"]).content.startswith(PNG)
