"""A runtime type is a folder and a line in the registry: the one in test/toy runs a task from the API to its notice."""

import contextlib
import json
from pathlib import Path

import httpx
import pytest

from contract.ids import new_job_id
from deploy.verify.samples import InputLinks, make_request, samples_of
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.registry import RUNTIME_TYPES, pod_types
from test.kit.processes import HTTP, free_port, wait_for
from test.toy import managed, spec
from test.toy.standin import PNG

SAMPLE = json.loads(Path("test/toy/samples/v1alpha2/draw.json").read_text())


@pytest.fixture(autouse=True, scope="module")
def _registered():
    toys = {one.name: one for one in (spec.SPEC, managed.SPEC)}
    RUNTIME_TYPES.update(toys)
    yield
    for name in toys:
        del RUNTIME_TYPES[name]


def start_agent(rig, **environment):
    agent = rig.add_child(
        *("test.toy", "queue_agent"),
        SQS_QUEUE_URL=rig.queue,
        SQS_DEAD_QUEUE_URL=rig.dead_queue,
        SNS_TOPIC_ARN=rig.notice_topic,
        S3_BUCKET=rig.bucket,
        RUNTIME_TYPE=rig.type,
        RUNTIME_NAME=rig.name,
        **environment,
    )
    agent.start()
    return agent


@pytest.fixture(scope="module")
def toy(kit):
    """A rig whose agent and server run."""
    with kit.rig("toy") as rig:
        port = free_port()
        rig.add_child("test.toy.standin", str(port)).start()
        start_agent(rig, API_BASE_URL=f"http://127.0.0.1:{port}")
        yield rig


@pytest.fixture(scope="module")
def door_url(toy):
    port = free_port()
    url = f"http://127.0.0.1:{port}/prod/v1alpha2"
    places = (
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--stage",
        "prod",
        "--rate-limit",
        "99",
        "--burst-limit",
        "99",
    )
    door = toy.add_child("test.toy", "local.door", *places, API_KEY="key", RUNTIMES_FILE=str(toy.catalog_file))
    door.start()
    wait_for(lambda: is_open(url), lambda: door.log)
    return url


def is_open(url):
    with contextlib.suppress(httpx.TransportError):
        return HTTP.get(url).status_code == 401
    return False


def post(url, rig, word):
    task = {"metadata": SAMPLE["task"]["metadata"] | {"runtime": rig.name}, "content": {"word": word}}
    return HTTP.post(url, json={"task": task}, headers={"x-api-key": "key"})


def test_a_toy_task_goes_from_the_api_to_a_picture_in_s3_and_a_notice(toy, door_url):
    assert post(door_url, toy, "dog").status_code == 200
    notice = toy.notice("test-draw")
    (picture,) = notice["image_url"]
    assert toy.read(picture) == PNG
    assert toy.manifest(notice)["parameters"] == {"word": "dog"}


def test_the_api_rejects_what_the_toys_checks_find(toy, door_url):
    answer = post(door_url, toy, 7)
    assert answer.status_code == 400
    assert "task.content.word" in answer.text


def test_what_the_toy_server_rejects_is_told_in_its_words(toy):
    notice = toy.run({"word": "a" * 21}, "draw")
    assert (notice["status"], notice["error"]["message"]) == ("failed", "The word is too long.")


def test_a_throttled_task_of_a_managed_toy_runs_later_and_has_cost_no_attempt(kit):
    with kit.rig("toy-managed") as rig:
        start_agent(rig)
        job = new_job_id()
        task_id = rig.submit({"word": "dog"}, "draw", job=job)
        assert rig.notice(task_id)["result"]
        record = rig.record(job)
        assert (record.attempts, record.claims) == (1, 2)


def test_the_samples_of_the_toy_are_those_in_its_folder():
    (sample,) = samples_of(RuntimeCatalog([DeployedRuntime(name="mine", type="toy")]))
    request = make_request(sample, InputLinks(s3="", http=""))
    assert (request.task_type, request.body["task"]["metadata"]["runtime"]) == ("draw", "mine")


def test_a_managed_type_has_no_pod_to_ask_for():
    assert "toy" in pod_types()
    assert "toy-managed" not in pod_types()
    with pytest.raises(TypeError, match="managed service"):
        _ = managed.SPEC.pod
