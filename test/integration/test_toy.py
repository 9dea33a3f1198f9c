"""A runtime type is a folder and a line in the registry: the one in test/toy runs a task from the API to its notice."""

import pytest

from contract.ids import new_job_id
from deploy.verify.samples import InputLinks, make_request, samples_of
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.registry import pod_types
from test.kit.door import Door
from test.kit.processes import HTTP, free_port, wait_for
from test.toy import managed
from test.toy.standin import PNG

pytestmark = pytest.mark.usefixtures("toys")


def start_agent(rig, **environment):
    rig.add_child("test.toy", "queue_agent", **rig.agent_environment(rig.aws.url), **environment).start()


@pytest.fixture(scope="module")
def toy(kit):
    """A rig whose agent and server run."""
    with kit.rig("toy") as rig:
        port = free_port()
        rig.add_child("test.toy.standin", str(port)).start()
        start_agent(rig, API_BASE_URL=f"http://127.0.0.1:{port}")
        yield rig


@pytest.fixture(scope="module")
def door(toy):
    return Door(toy, "test.toy", "local.door")


def test_a_toy_task_goes_from_the_api_to_a_picture_in_s3_and_a_notice(toy, door):
    assert door.post("a", {"word": "dog"}, {"tasktype": "draw"}).status_code == 200
    notice = toy.notice("a")
    (picture,) = notice["image_url"]
    assert toy.read(picture) == PNG
    assert toy.manifest(notice)["parameters"] == {"word": "dog"}


def test_the_api_rejects_what_the_toys_checks_find(door):
    answer = door.post("a", {"word": 7}, {"tasktype": "draw"})
    assert answer.status_code == 400
    assert "task.content.word" in answer.text


def test_a_picture_of_the_toy_comes_by_one_get(toy, door):
    asked = f"{door.base}/v1/pictures?wait=25&prompt=dog&runtime={toy.name}"
    headers = {"x-api-key": "key"}
    answer = wait_for(lambda: (got := HTTP.get(asked, headers=headers, timeout=60)).status_code != 202 and got, "a 200")
    assert answer.status_code == 200, answer.text
    assert HTTP.get(answer.json()["url"], follow_redirects=True).content == PNG
    refused = HTTP.get(f"{asked}&image=https://example.com/a.png", headers=headers)
    assert (refused.status_code, "starts from no image" in refused.text) == (400, True)


def test_what_the_toy_server_rejects_is_told_in_its_words(toy):
    notice = toy.run({"word": "a" * 21}, "draw")
    assert (notice["status"], notice["error"]["message"]) == ("failed", "The word is too long.")


def test_a_throttled_task_of_a_managed_toy_runs_later_and_has_cost_no_attempt(kit):
    with kit.rig("toy-managed") as rig:
        start_agent(rig, MODEL_OPTIONS="{}")
        job = new_job_id()
        task_id = rig.submit({"word": "dog", "early": True}, "draw", job=job)
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
