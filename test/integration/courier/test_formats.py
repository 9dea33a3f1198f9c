"""What the receivers of other APIs' webhooks get: the body of the API whose client has asked for it, signed as ours."""

import pytest

from contract.notice import JobError
from contract.signatures import read_output_token
from contract.webhooks import Webhook, WebhookForm
from courier.formats.table import FORMATS
from jobs.job import StoredOutput
from test.integration.courier.conftest import ROOT_SECRET
from test.kit.web import is_signed

HERE = "https://api.example/dev"
OUTPUT = StoredOutput(content_type="image/png", size_bytes=9, width=64, height=32, seed=7, name="x.png")


@pytest.fixture
def tell(world):
    """Run a job whose webhook has a form to its end; return what its receiver got, and the job."""

    def run(dialect, *events, context=None, **ending):
        webhook = Webhook(url=world.url, events=events or ("completed",))
        form = WebhookForm(dialect=dialect, base_url=HERE)
        task = world.queued(webhook=webhook, webhook_form=form, tenant="key-1", context=context or {"model": "o/m"})
        world.claim(task)
        job = world.end(task, **ending)
        world.read_stream()
        world.notify(job)
        world.pass_time()
        return [one.json for one in world.received], job

    return run


def read_link(url):
    token, _, name = url.removeprefix(f"{HERE}/v1/outputs/").removesuffix("?redirect=false").partition("/")
    return read_output_token(ROOT_SECRET, token, name)


def test_replicates_receivers_get_a_prediction_with_links_that_need_no_key(world, tell):
    (body,), job = tell("replicate", outputs=[OUTPUT])
    (url,) = body["output"]
    assert read_link(url).key == job.results[0][0]
    told = {name: body[name] for name in ("id", "model", "status", "error", "logs")}
    assert told == {"id": job.id, "model": "o/m", "status": "succeeded", "error": None, "logs": ""}
    assert body["urls"]["get"] == f"{HERE}/replicate/v1/predictions/{job.id}"
    (webhook,) = world.received
    assert is_signed(world.operations.secret("key-1").secret, webhook.headers, webhook.body)


def test_replicates_receivers_get_each_event_they_ask_for(tell):
    bodies, _ = tell("replicate", "output", "completed")
    assert [body["status"] for body in bodies] == ["succeeded", "succeeded"]


def test_fals_receivers_get_a_payload_of_pictures(tell):
    (body,), job = tell("fal", outputs=[OUTPUT])
    assert (body["request_id"], body["gateway_request_id"], body["status"]) == (job.id, job.id, "OK")
    (image,) = body["payload"]["images"]
    assert read_link(image["url"]).key == job.results[0][0]
    assert (image["width"], image["height"], image["content_type"]) == (64, 32, "image/png")
    assert body["payload"]["seed"] == 7


@pytest.mark.parametrize(
    ("context", "images"),
    [
        ({}, lambda url: [url]),
        ({"worker": "worker-comfyui"}, lambda url: [{"filename": "x.png", "type": "s3_url", "data": url}]),
    ],
)
def test_runpods_receivers_get_links_as_their_worker_sends_them(tell, context, images):
    (body,), job = tell("runpod", outputs=[OUTPUT], context=context)
    (url,) = body["output"]["images"]
    url = url if isinstance(url, str) else url["data"]
    assert read_link(url).key == job.results[0][0]
    assert (body["id"], body["status"], body["output"]["images"]) == (job.id, "COMPLETED", images(url))


@pytest.mark.parametrize(
    ("dialect", "word"), [("comfyui-api", "prompt.complete"), ("comfyui-api-legacy", "output.complete")]
)
def test_comfyui_apis_receivers_get_links_and_names(tell, dialect, word):
    (body,), job = tell(dialect, outputs=[OUTPUT])
    (url,) = body["images"]
    assert read_link(url).key == job.results[0][0]
    assert (body.get("type") or body["event"], body["id"], body["filenames"]) == (word, job.task_id, ["x.png"])
    assert body.get("image", url) == url


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("replicate", {"status": "failed", "error": "No such model.", "output": None}),
        ("fal", {"status": "ERROR", "error": "No such model."}),
        ("runpod", {"status": "FAILED", "error": "No such model."}),
        ("comfyui-api", {"type": "prompt.failed", "error": "No such model."}),
        ("comfyui-api-legacy", {"event": "prompt.failed", "error": "No such model."}),
    ],
)
def test_receivers_are_told_why_a_job_failed(tell, dialect, expected):
    (body,), _ = tell(dialect, error=JobError(code="rejected", message="No such model."))
    assert {name: body[name] for name in expected} == expected


def test_a_job_beyond_its_deadline_has_a_word_of_its_own_with_runpod(tell):
    (body,), _ = tell("runpod", error=JobError(code="deadline_exceeded", message="Too slow."))
    assert (body["status"], body["error"]) == ("TIMED_OUT", "Too slow.")


@pytest.mark.parametrize("dialect", FORMATS)
def test_no_body_has_a_prompt(world, tell, dialect):
    tell(dialect, outputs=[OUTPUT])
    assert "secret words" not in world.received[0].body.decode()
