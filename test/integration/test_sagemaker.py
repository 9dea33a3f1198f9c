"""An agent of type sagemaker, and boto3 itself, against the twin of SageMaker's endpoint and a real S3 server."""

import json

import pytest

from contract.ids import new_job_id
from test.kit.processes import HTTP, answers, free_port, wait_for
from test.kit.rig import SHORT_VISIBILITY_S

CONTENT = {"prompt": "cyborg tiger", "width": 64, "height": 64, "num_inference_steps": 2}


class Endpoint:
    """The twin, and an agent that calls it."""

    def __init__(self, rig, **environment):
        self.rig = rig
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = rig.add_child("runtimes.standin", "--type", "sagemaker", "--port", str(port), **environment)
        self.process.start()
        wait_for(lambda: answers(f"{self.url}/_standin/jobs"), lambda: self.process.log)

    def start_agent(self, *, mode="async", options=None, **environment):
        model = {"endpoint": "jumpstart-name", "mode": mode, **(options or {})}
        agent = self.rig.add_child(
            "queue_agent",
            **self.rig.agent_environment(self.rig.aws.url),
            AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=self.url,
            MODEL_OPTIONS=json.dumps(model),
            **environment,
        )
        agent.start()
        return agent

    def faults(self, **changes):
        HTTP.post(f"{self.url}/_standin/faults", json=changes).raise_for_status()

    @property
    def ran(self):
        """Ids and ends of all runs."""
        return [(job["id"], job["outcome"]) for job in HTTP.get(f"{self.url}/_standin/jobs").json()["jobs"]]

    @property
    def kept(self):
        """What lies below _sagemaker/ in the bucket."""
        listed = self.rig.aws.s3.list_objects_v2(Bucket=self.rig.bucket, Prefix="_sagemaker/")
        return [entry["Key"] for entry in listed.get("Contents", ())]


@pytest.fixture
def rig(kit):
    with kit.rig("sagemaker", visibility_s=SHORT_VISIBILITY_S) as rig:
        yield rig


@pytest.mark.parametrize("mode", ["async", "realtime"])
def test_a_picture_goes_from_the_endpoint_to_the_bucket_and_nothing_else_stays(rig, mode):
    endpoint = Endpoint(rig)
    endpoint.start_agent(mode=mode)
    notice = rig.run(CONTENT, "text-to-image")
    (picture,) = notice["image_url"]
    assert rig.read(picture).startswith(b"\xff\xd8")
    manifest = rig.manifest(notice)
    assert (manifest["parameters"], manifest["answer"]) == (CONTENT, {"prompt": "cyborg tiger"})
    rig.until(lambda: not endpoint.kept)


def test_an_agent_that_is_killed_while_it_waits_leaves_a_call_that_the_next_one_adopts(rig):
    endpoint = Endpoint(rig)
    endpoint.faults(hold_at_step=1)
    agent = endpoint.start_agent()
    job = new_job_id()
    task = rig.submit(CONTENT, "text-to-image", job=job)
    rig.until(lambda: endpoint.ran)
    rig.until(lambda: any(key.endswith("call.json") for key in endpoint.kept))
    agent.kill()
    endpoint.faults(hold_at_step=0)
    endpoint.start_agent()
    assert rig.notice(task)["result"]
    assert endpoint.ran == [(job, "succeeded")]
