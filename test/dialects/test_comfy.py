import uuid

import httpx
import pytest

from test.kit.processes import PATIENCE_S

PROGRAM = "comfy_jobs.py"
PNG = "89504e47"
HTTP = httpx.Client(timeout=PATIENCE_S)


@pytest.fixture(scope="module", params=["gateway", "asgi"])
def said(request, spent_key):
    """What the program prints, by each line's first word."""
    place = request.getfixturevalue(request.param)
    lines = place.run(PROGRAM, "results,follow,asynchronous,errors", uuid.uuid4().hex, SD_SPENT_KEY=spent_key)
    return {next(iter(line)): line for line in lines}


def test_outputs_are_found_by_the_node_that_saved_them(said):
    found = said["names"]
    assert found["names"] == ["first_00001_.png", "second_00001_.png"]
    assert (found["head"], found["part"], found["size"]) == (PNG, "PNG", True)
    assert HTTP.get(found["link"]).content.hex().startswith(PNG)


def test_a_job_keeps_its_workflow_and_its_labels(said):
    assert said["graph"]["graph"] is True
    assert said["graph"]["labels"]["client"] == "acme"
    assert said["graph"]["cancelled"] == "succeeded"
    assert said["listed"]["listed"] is True


def test_a_workflow_takes_files_and_results_as_assets(said):
    assert said["made"]["made"] == [PNG, PNG]
    assert said["made"]["file"] == ["in.png", ""]
    assert said["deleted"]["deleted"]["status"] == 404


def test_events_lead_from_the_queue_to_the_outputs(said):
    seen = said["seen"]["seen"]
    kinds = [one["event"] for one in seen]
    assert kinds[-2:] == ["OutputReady", "StatusChange"]
    assert [one["status"] for one in seen if one["event"] == "StatusChange"][-1] == "succeeded"
    assert said["asynchronous"] == {"asynchronous": "succeeded", "states": "succeeded"}


def test_errors_are_the_clients_own(said):
    expected = {
        "workflow": ("InvalidWorkflow", "invalid_workflow", 422),
        "failed": ("JobFailed", "input_failed", None),
        "asset": ("MissingAsset", "missing_asset", 422),
        "job": ("NotFound", "not_found", 404),
        "key": ("Unauthorized", "unauthorized", 401),
        "budget": ("ComfyError", "over_budget", 429),
        "runtime": ("NotFound", "not_found", 404),
    }
    assert {name: tuple(said[name][name][key] for key in ("type", "code", "status")) for name in expected} == expected
    assert said["budget"]["budget"]["fast"]


def test_a_running_job_shows_previews_and_stops_and_a_waiting_one_goes_at_once(gateway, set_faults):
    set_faults("comfy", hold_at_step=3, previews=True)
    events, first, second = gateway.run(PROGRAM, "held")
    assert events["seen"][-2:] == ["Progress", "Preview"]
    assert (events["preview"][:4], events["type"]) == ("ffd8", "image/jpeg")
    assert first["position"] > 0
    assert (first["waiting"], first["running"]) == ("canceled", "canceling")
    assert (second["held"]["type"], second["status"]) == ("JobFailed", "canceled")


def test_an_idempotency_key_stands_for_one_job(gateway):
    url, key = (
        f"{gateway.url}/comfy/api/v2/jobs",
        {"Authorization": f"Bearer {gateway.key}", "Idempotency-Key": uuid.uuid4().hex},
    )
    bodies = [{"workflow": {"1": {"class_type": "EmptyImage", "inputs": {"color": color}}}} for color in (1, 1, 2)]
    first, again, other = (HTTP.post(url, json=body, headers=key) for body in bodies)
    assert (first.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reuse")


def test_another_key_sees_neither_a_job_nor_its_results(gateway, spent_key):
    own, other = ({"Authorization": f"Bearer {key}"} for key in (gateway.key, spent_key))
    url, body = f"{gateway.url}/comfy/api/v2", {"workflow": {"1": {"class_type": "EmptyImage", "inputs": {}}}}
    job = HTTP.post(f"{url}/jobs", json=body, headers=own).json()["id"]
    paths = [f"jobs/{job}", f"jobs/{job}/workflow", f"jobs/{job}/events", f"assets/{job}.1", f"assets/{job}.1/content"]
    paths = [f"comfy/api/v2/{path}" for path in paths] + [
        f"runpod/v2/comfy/{what}/{job}" for what in ("status", "stream")
    ]
    for path in (*paths, f"comfyui-api/jobs/{job}"):
        assert HTTP.get(f"{gateway.url}/{path}", headers=other).status_code == 404, path
    asset = {
        "1": {"class_type": "LoadImage", "inputs": {"image": {"__type": "core/ASSET", "info": {"id": f"{job}.1"}}}}
    }
    assert HTTP.post(f"{url}/jobs", json={"workflow": asset}, headers=other).json()["error"]["code"] == "missing_asset"
    assert HTTP.post(f"{url}/jobs/{job}/cancel", headers=other).status_code == 404
