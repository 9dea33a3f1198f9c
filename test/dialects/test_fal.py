import json
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from test.kit.processes import wait_for
from test.kit.web import posts_answered

PNG = "89504e47"
FLUX = "fal-ai/flux/schnell"
PATIENCE_S = 60
ENDED = {"status": 400, "detail": "The request has ended."}


def hosts(place):
    """Settings of the Python client, which knows no scheme but https."""
    host = urlsplit(place.url)._replace(scheme="").geturl().removeprefix("//")
    return {"FAL_RUN_HOST": f"{host}/fal/run", "FAL_QUEUE_RUN_HOST": f"{host}/fal/queue", "FAL_KEY": place.key}


def run_python(place, *words, **environment):
    return place.run("fal_requests.py", *words, **hosts(place), **environment)


@pytest.fixture(scope="module")
def programs(gateway, tls, spent_key):
    """What the programs of the clients print, by each line's first word; they run side by side."""
    given = {"SD_SPENT_KEY": spent_key}
    with ThreadPoolExecutor() as threads:
        runs = {
            "python": threads.submit(run_python, tls, "picture,errors", **given),
            "proxy": threads.submit(gateway.run, "fal_requests.mjs", "proxy,budget", **given),
            "middleware": threads.submit(gateway.run, "fal_requests.mjs", "middleware", **given),
        }
        return {name: {next(iter(line)): line for line in run.result()} for name, run in runs.items()}


@pytest.fixture(params=["proxy", "middleware"])
def node(request, programs):
    """What the client for Node prints, by each way to another host."""
    return programs[request.param]


@pytest.fixture
def call(gateway):
    """Send a request by hand; returns the answer."""

    def send(method, path, body=None, **options):
        headers = {"Authorization": f"Key {gateway.key}", **options.pop("headers", {})}
        url = f"{gateway.url}/fal/{path}"
        return httpx.request(method, url, json=body, headers=headers, timeout=PATIENCE_S, **options)

    return send


def test_python_subscribes_to_pictures(programs):
    said = programs["python"]
    assert said["heads"] == {"heads": [PNG] * 2, "sides": [64, 64], "seed": 42}
    assert said["last"] == {"last": "Completed", "words": []}


def test_python_edits_a_picture_by_a_path_below_the_app_and_finds_the_request_by_its_id(programs):
    said = programs["python"]
    queue, is_cancel_url = said["edited"]["urls"]
    assert (said["edited"]["edited"], is_cancel_url) == (PNG, True)
    assert queue.endswith("/fal/queue/sd-on-eks/sdruntime")
    assert said["by_id"]["status"] == "Completed"
    assert "images" in said["by_id"]["by_id"]
    assert {name: said["ended"]["ended"][name] for name in ("status", "words")} == {
        "status": ENDED["status"],
        "words": ENDED["detail"],
    }


def test_python_runs_streams_and_calls_a_runtime_by_its_name_alone(programs):
    said = programs["python"]
    assert (said["run"]["run"], said["one_part"]["one_part"]) == (1, 1)
    assert "images" in said["stream"]["stream"]


def test_pythons_errors_say_what_is_wrong_and_are_not_asked_for_again(programs):
    found = {name: one[name] for name, one in programs["python"].items() if name in set(_PYTHON_ERRORS)}
    assert {name: (one["status"], one["error_type"]) for name, one in found.items()} == _PYTHON_ERRORS
    assert "num_images" in found["body"]["words"]
    assert "square_hd" in found["size"]["words"]
    assert all("image" in found[name]["words"] for name in ("failed", "failed_run"))
    assert "image" in programs["python"]["failed_stream"]["failed_stream"]["detail"]


_PYTHON_ERRORS = {
    "failed": (400, "input_failed"),
    "failed_run": (400, "input_failed"),
    "app": (404, "model_not_found"),
    "body": (422, "invalid_request"),
    "size": (422, "invalid_request"),
    "request": (404, "not_found"),
    "key": (401, "unauthorized"),
    "budget": (403, "over_budget"),
}


def test_node_subscribes_by_polling_and_by_a_stream(node):
    assert (node["subscribe"]["subscribe"], node["subscribe"]["last"]) == (PNG, "COMPLETED")
    assert node["subscribe"]["id"] == len("00000000-0000-0000-0000-000000000000")
    assert node["followed"] == {"followed": 1, "words": []}


def test_node_edits_and_streams(node):
    assert node["edited"]["edited"] == 1
    assert "images" in node["stream"]["stream"]


def test_nodes_errors_say_what_is_wrong(node, programs):
    statuses = {"ended": 400, "failed": 400, "app": 404, "body": 422, "key": 401}
    assert {name: node[name][name]["status"] for name in statuses} == statuses
    assert "image" in node["failed"]["failed"]["words"]
    assert FLUX in node["app"]["app"]["words"]
    assert node["body"]["body"]["type"] == "ValidationError"
    assert node["body"]["body"]["detail"][0]["loc"] == ["body", "prompt"]
    assert programs["proxy"]["budget"]["budget"]["status"] == 403
    assert "data: or https:" in programs["proxy"]["blob"]["blob"]["words"]


def test_a_client_that_waits_no_longer_cancels_and_ends(tls, gateway, set_faults):
    set_faults("comfy", job_s=60)
    timeout, running, cancelled = run_python(tls, "held")
    assert timeout["timeout"]["type"] == "FalClientTimeoutError"
    assert re.fullmatch(r"KSampler \d+/60", running["logs"])
    assert cancelled["cancelled"] == "Completed"
    assert (cancelled["result"]["status"], cancelled["result"]["error_type"]) == (410, "client_cancelled")
    (timeout,) = gateway.run("fal_requests.mjs", "held")
    assert "timed out" in timeout["timeout"]["words"]


def test_run_waits_on_where_the_api_waits_no_longer(impatient, set_faults):
    set_faults("comfy", job_s=3)
    assert impatient.run("fal_requests.mjs", "slow") == [{"slow": PNG}]


def test_a_status_is_held_until_it_changes(call, set_faults):
    set_faults("comfy", hold_at_step=2)
    made = call("POST", "queue/sd-on-eks/comfy", {"prompt": "slow", "num_inference_steps": 4}).json()
    path = made["status_url"].partition("/fal/")[2]
    assert call("GET", path, params={"logs": "1"}).json()["status"] in {"IN_QUEUE", "IN_PROGRESS"}
    too_early = call("GET", path.removesuffix("/status"))
    assert (too_early.status_code, too_early.json()["detail"]) == (400, "The request is still in progress.")
    assert call("PUT", path.removesuffix("status") + "cancel").status_code == 202
    done = call("GET", path)
    assert (done.json()["status"], done.json()["error_type"]) == ("COMPLETED", "client_cancelled")
    assert call("GET", path.removesuffix("/status")).status_code == 410
    assert call("PUT", path.removesuffix("status") + "cancel").status_code in {202, 400}


def test_a_webhook_has_fals_body(gateway, call):
    received = []

    def receive(_path, _headers, body):
        received.append(body)
        return 200, {}, b""

    with posts_answered(receive) as url:
        body = {"prompt": "a fox", "image_size": {"width": 64, "height": 64}}
        made = call("POST", f"queue/{FLUX}", body, params={"fal_webhook": f"{url}/hook?x=1"}).json()
        wait_for(lambda: received, lambda: "no webhook")
    told = json.loads(received[0])
    assert (told["request_id"], told["status"]) == (made["request_id"], "OK")
    assert httpx.get(told["payload"]["images"][0]["url"]).content[:4].hex() == PNG


def test_the_priority_and_the_time_to_start_are_the_tasks(gateway, call):
    headers = {"x-fal-queue-priority": "low", "x-fal-request-timeout": "600.0"}
    made = call("POST", f"queue/{FLUX}", {"prompt": "a fox"}, headers=headers).json()
    job = httpx.get(f"{gateway.url}/v1/jobs/{made['request_id']}/request", headers={"x-api-key": gateway.key}).json()
    assert (job["priority"], job["deadlines"]["start_seconds"]) == ("low", 600)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "https://rest.fal.ai/storage/upload/initiate",
        "https://fal.run.example/a",
        "file:///etc",
        "https://[fal.run/a",
    ],
)
def test_a_proxied_call_for_another_host_is_refused(call, target):
    assert call("POST", "proxy", {}, headers={"x-fal-target-url": target}).status_code == 400
