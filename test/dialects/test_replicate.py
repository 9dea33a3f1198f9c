import hashlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from test.kit.tasks import content_of

PNG = "89504e47"
FLUX = "black-forest-labs/flux-schnell"
VERSION = hashlib.sha256(FLUX.encode()).hexdigest()
OF_CONFIG = "stability-ai/sdxl:39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b"
PROGRAM = "replicate_predictions.py"
WORDS = "picture,life,errors"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def programs(gateway, tls, spent_key):
    """What the programs of the three clients print, by each line's first word; they run side by side."""
    given = {"SD_SPENT_KEY": spent_key}
    with ThreadPoolExecutor() as threads:
        runs = {
            "1.x": threads.submit(
                tls.run, PROGRAM, f"{WORDS},streams,webhooks", older=True, SD_REFERENCE=f"{FLUX}:{VERSION}", **given
            ),
            "2.x": threads.submit(gateway.run, PROGRAM, WORDS, SD_REFERENCE=OF_CONFIG, **given),
            "node": threads.submit(
                gateway.run,
                "replicate_predictions.mjs",
                "picture,models,streams,errors",
                SD_REFERENCE=OF_CONFIG,
                **given,
            ),
        }
        return {name: {next(iter(line)): line for line in run.result()} for name, run in runs.items()}


@pytest.fixture(params=["1.x", "2.x", "node"])
def client(request):
    return request.param


@pytest.fixture
def said(programs, client):
    return programs[client]


@pytest.fixture
def post(gateway):
    """POST a prediction by hand; returns the answer."""

    def send(path, body, **headers):
        url, headers = f"{gateway.url}/replicate/v1{path}", {"Authorization": f"Bearer {gateway.key}", **headers}
        return httpx.post(url, json=body, headers=headers, timeout=PATIENCE_S)

    return send


def test_a_model_is_run_and_its_pictures_are_read(said):
    assert (said["types"]["types"], said["types"]["heads"]) == (["FileOutput"] * 2, [PNG] * 2)
    assert said["version"]["version"] == PNG


def test_outputs_are_links_that_take_the_token_too_and_over_plain_http_the_files_themselves(programs):
    assert programs["1.x"]["types"]["urls"] == ["https"] * 2
    assert programs["2.x"]["types"]["urls"] == ["data:"] * 2


def test_a_file_that_is_sent_becomes_an_input(said):
    assert said["edited"]["edited"] == PNG


@pytest.mark.parametrize("client", ["1.x", "2.x"], indirect=True)
def test_predictions_are_created_read_and_listed(said):
    expected = {"first": "starting", "done": "succeeded", "model": FLUX, "outputs": 1, "error": None}
    assert said["first"] == expected
    assert said["listed"]["listed"] == [True, True]


def test_a_failed_prediction_raises_with_its_reason(said, client):
    if client == "node":
        words = said["failed"]["failed"]["words"]
    else:
        words = said["lost"]["words"]
        assert (said["lost"]["lost"], said["lost"]["output"]) == ("failed", None)
        assert said["lost"]["error"] in words
    assert "image" in words


def test_errors_say_what_is_wrong(said):
    statuses = {"unknown": 404, "body": 422, "key": 401, "budget": 429}
    found = {name: said[name][name] for name in statuses}
    assert {name: one["status"] for name, one in found.items()} == statuses
    assert "prompt: must not be empty" in found["body"]["words"]
    assert FLUX in found["unknown"]["words"]


@pytest.mark.parametrize("client", ["1.x", "node"], indirect=True)
def test_a_stream_ends_with_done_or_raises_the_error(said):
    assert [kind for kind, _ in said["stream"]["events"]] == ["output", "done"]
    assert said["stream"]["stream"]["type"] is None
    assert "image" in said["lost_stream"]["lost_stream"]["words"]


def test_a_model_says_what_inputs_it_takes(programs):
    said = programs["node"]
    assert said["model"]["model"] == FLUX.split("/")
    assert {"prompt", "num_outputs", "image", "prompt_strength", "seed"} <= set(said["model"]["inputs"])
    assert (said["model"]["required"], said["model"]["output"]) == (["prompt"], "array")
    assert said["versions"]["versions"] == [VERSION]
    assert {FLUX, "stability-ai/sdxl", "sd-on-eks/sdruntime"} <= set(said["models"]["models"])


def test_the_clients_own_check_accepts_a_webhook_whose_body_is_the_prediction(programs):
    hook = programs["1.x"]["hook"]
    assert (hook["hook"], hook["is_it"], hook["links"]) == ("succeeded", True, ["http"])
    assert hook["changed"]["type"] == "InvalidSignatureError"


def of_both(place, work):
    """What each of Python's clients prints for a piece of work, the older one first."""
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda older: place.run(PROGRAM, work, older=older), (True, False)))


def test_a_running_prediction_shows_its_progress_and_is_canceled(gateway, set_faults):
    set_faults("comfy", hold_at_step=2)
    both = of_both(gateway, "held")
    for running, cancelled in both:
        assert (running["first"], running["status"]) == ("starting", "processing")
        assert running["logs"].startswith(" 25%|")
        assert cancelled == {"cancelled": "canceled", "output": None, "again": "canceled"}
    assert both[0][0]["progress"] == [1, 4]


def test_a_client_goes_on_to_wait_where_the_api_waits_no_longer(impatient, set_faults):
    set_faults("comfy", job_s=3)
    assert of_both(impatient, "slow") == [[{"slow": PNG}]] * 2


def test_a_request_that_its_client_sends_again_is_one_prediction(post):
    body = {"input": {"prompt": "once", "width": 64, "height": 64}}
    tries = [post(f"/models/{FLUX}/predictions", body, **{"x-stainless-retry-count": str(n)}) for n in range(3)]
    assert [one.status_code for one in tries] == [201] * 3
    assert len({one.json()["id"] for one in tries}) == 1
    another = post(f"/models/{FLUX}/predictions", body, **{"x-stainless-retry-count": "0"})
    assert another.json()["id"] != tries[0].json()["id"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/predictions", {"input": {"prompt": "a"}}, "version"),
        ("/predictions", {"version": FLUX, "input": []}, "input"),
        (f"/models/{FLUX}/predictions", {"input": {"prompt": "a", "output_format": "tiff"}}, "output_format"),
        (f"/models/{FLUX}/predictions", {"input": {"prompt": "a", "aspect_ratio": "999:1"}}, "width"),
        (f"/models/{FLUX}/predictions", {"input": {"prompt": "a"}, "webhook": "ftp://here"}, "webhook.url"),
        (f"/models/{FLUX}/predictions", {"input": {"prompt": "a"}, "webhook": f"http://h/{'x' * 2048}"}, "webhook.url"),
        (
            f"/models/{FLUX}/predictions",
            {"input": {"prompt": "a"}, "webhook": "http://127.0.0.1:1/", "webhook_events_filter": ["end"]},
            "webhook_events_filter",
        ),
    ],
)
def test_a_body_with_faults_makes_no_prediction(post, path, body, field):
    answer = post(path, body)
    assert (answer.status_code, answer.json()["invalid_fields"][0]["field"]) == (422, field)


def test_a_named_workflow_is_a_model_with_its_own_inputs(gateway, post):
    headers = {"Authorization": f"Bearer {gateway.key}"}
    stored = httpx.put(f"{gateway.url}/v1/workflows/sketch", json={"workflow": content_of("comfyui")}, headers=headers)
    own = set(stored.json()["inputs"])
    shown = httpx.get(f"{gateway.url}/replicate/models/sd-on-eks/sketch", headers=headers).json()
    schema = shown["latest_version"]["openapi_schema"]["components"]["schemas"]["Input"]
    assert set(schema["properties"]) == own >= {"prompt", "steps"}
    model = {"checkpoint": "v1-5-pruned-emaonly.safetensors"}
    inputs = {**model, "prompt": "a fox", "num_inference_steps": 2, "go_fast": True}
    made = post("/models/sd-on-eks/sketch/predictions", {"input": inputs}, Prefer="wait")
    assert (made.json()["status"], made.json()["model"]) == ("succeeded", "sd-on-eks/sketch")
    asked = httpx.get(f"{gateway.url}/v1/jobs/{made.json()['id']}/request", headers=headers).json()
    assert asked["content"] == {"workflow": "sketch", "inputs": {**model, "prompt": "a fox", "steps": 2}}
    wrong = post("/models/sd-on-eks/sketch/predictions", {"input": {"steps": "many"}})
    assert (wrong.status_code, wrong.json()["invalid_fields"][0]["field"]) == (422, "steps")


@pytest.mark.parametrize("token", ["made-up", "e30.e30"])
def test_a_streams_link_that_the_api_has_not_made_leads_nowhere(place, token):
    assert httpx.get(f"{place.url}/replicate/v1/stream/{token}").status_code == 403
    assert httpx.get(f"{place.url}/replicate/v1/predictions/{token}").status_code == 401
