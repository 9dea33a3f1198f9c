"""An agent of type sagemaker, and boto3 itself, against the twin of SageMaker's endpoint and a real S3 server."""

import base64
import json
import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from contract.ids import new_job_id
from local.sandbox import REGION, sandbox_environment
from test.kit.processes import HTTP, answers, free_port, wait_for
from test.kit.rig import SHORT_VISIBILITY_S
from test.kit.tasks import INPUT_PNG

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
    assert endpoint.ran == [(f"{job}-1", "succeeded")]


def test_a_throttled_call_is_made_again_at_no_attempt(rig):
    endpoint = Endpoint(rig)
    endpoint.faults(throttle_jobs=1)
    endpoint.start_agent()
    job = new_job_id()
    assert rig.notice(rig.submit(CONTENT, "text-to-image", job=job))["result"]
    assert (rig.record(job).attempts, rig.record(job).claims, len(endpoint.ran)) == (1, 2, 1)


def test_a_job_waits_for_an_endpoint_that_starts_from_zero_and_says_so(rig):
    endpoint = Endpoint(rig)
    endpoint.faults(cold_s=8)
    # The execution deadline counts from the start of the run, which SageMaker knows.
    endpoint.start_agent(EXECUTION_TIMEOUT_S="3")
    job = new_job_id()
    task = rig.submit(CONTENT, "text-to-image", job=job)
    rig.until(lambda: (found := rig.record(job)) and found.stage)
    assert rig.record(job).stage == "waiting for the endpoint"
    assert endpoint.ran == []
    assert rig.notice(task)["result"]


def test_an_agent_without_patience_releases_a_job_that_runs_and_finds_its_result_later_at_no_attempt(rig):
    endpoint = Endpoint(rig)
    endpoint.faults(hold_at_step=1)
    endpoint.start_agent(PATIENCE_S="0.5")
    job = new_job_id()
    task = rig.submit(CONTENT, "text-to-image", job=job)
    rig.until(lambda: (found := rig.record(job)) and found.claims >= 2)
    endpoint.faults(hold_at_step=0)
    assert rig.notice(task)["result"]
    assert (rig.record(job).attempts, endpoint.ran) == (1, [(f"{job}-1", "succeeded")])


def test_what_the_container_rejects_fails_the_task_and_what_it_breaks_at_is_tried_again(rig):
    endpoint = Endpoint(rig)
    endpoint.start_agent()
    notice = rig.run({**CONTENT, "width": 63}, "text-to-image")
    assert (notice["error"]["code"], "divisible by 8" in notice["error"]["message"]) == ("rejected", True)
    assert len(endpoint.ran) == 1
    endpoint.faults(fail_jobs=1)
    job = new_job_id()
    assert rig.notice(rig.submit(CONTENT, "text-to-image", job=job))["result"]
    assert [end for ran, end in endpoint.ran if ran.startswith(job)] == ["failed", "succeeded"]
    assert rig.record(job).attempts == 2


def test_a_run_that_takes_longer_than_the_jobs_execution_deadline_fails_it(rig):
    endpoint = Endpoint(rig)
    endpoint.faults(hang_jobs=1)
    endpoint.start_agent(EXECUTION_TIMEOUT_S="1")
    assert rig.run(CONTENT, "text-to-image")["error"]["code"] == "deadline_exceeded"


def test_a_request_too_large_for_the_call_goes_through_the_bucket(rig):
    endpoint = Endpoint(rig)
    endpoint.start_agent()
    assert rig.run({**CONTENT, "negative_prompt": "x" * 130_000}, "text-to-image")["result"]
    rig.until(lambda: not endpoint.kept)


def test_the_projects_flux_image_draws_from_a_linked_picture_on_an_endpoint(rig):
    port = free_port()
    flux = rig.add_child(
        "runtimes.flux.server",
        HOST="127.0.0.1",
        PORT=str(port),
        PIPELINE="runtimes.flux.standin.painting:load",
        MODEL_OPTIONS=json.dumps({"profile": "flux-dev"}),
    )
    flux.start()
    wait_for(lambda: answers(f"http://127.0.0.1:{port}/ping"), lambda: flux.log)
    endpoint = Endpoint(rig, STANDIN_INVOCATIONS_URL=f"http://127.0.0.1:{port}/invocations")
    endpoint.start_agent(options={"form": "flux", "flux": {"profile": "flux-dev"}})
    content = {"prompt": "p", "image_url": rig.upload("in/1.png", INPUT_PNG), "seed": 5, "num_images": 2}
    notice = rig.run({**content, "num_inference_steps": 2}, "image-to-image")
    manifest = rig.manifest(notice)
    assert [picture["seed"] for picture in manifest["pictures"]] == [5, 6]
    assert {rig.read(url)[:8] for url in notice["image_url"]} == {b"\x89PNG\r\n\x1a\n"}
    assert "image" not in manifest["parameters"]


def client(endpoint, name="sagemaker-runtime"):
    keys = {key.lower(): sandbox_environment("")[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    session = boto3.Session(region_name=REGION, **keys)
    return session.client(name, endpoint_url=endpoint.url, config=Config(retries={"total_max_attempts": 1}))


def test_code_written_for_jumpstarts_endpoint_works_on_the_twin(rig):
    """That of "在 AWS 部署 AI 文生图为 Restful API 的最简单方式" (2023), which names the client runtime.sagemaker."""
    sagemaker_client = client(Endpoint(rig), "runtime.sagemaker")
    payload = {"prompt": "cyborg_tiger", "width": 512, "height": 512}
    query_response = sagemaker_client.invoke_endpoint(
        EndpointName="jumpstart-name",
        ContentType="application/json",
        Body=json.dumps(payload).encode("utf-8"),
        Accept="application/json;jpeg",
    )
    response_dict = json.loads(query_response["Body"].read())
    assert base64.b64decode(response_dict["generated_images"][0]).startswith(b"\xff\xd8")
    assert response_dict["prompt"] == "cyborg_tiger"


def test_the_twin_writes_an_asynchronous_result_where_it_says_and_refuses_what_sagemaker_refuses(rig):
    endpoint = Endpoint(rig, STANDIN_ENDPOINTS="drawing")
    call, body = client(endpoint).invoke_endpoint_async, json.dumps(CONTENT).encode()
    name = uuid.uuid4().hex
    answer = call(
        EndpointName="drawing", Body=body, Accept="image/png", S3OutputPathExtension="a/b", Filename=f"{name[:28]}.out"
    )
    assert answer["OutputLocation"] == f"s3://{rig.bucket}/_sagemaker/a/b/{name[:28]}.out"
    wait_for(lambda: len(endpoint.kept) == 1, lambda: endpoint.process.log)
    assert rig.read(answer["OutputLocation"]).startswith(b"\x89PNG")
    for wrong, words in (
        ({"EndpointName": "other", "Body": body}, "not found"),
        ({"EndpointName": "drawing"}, "exactly one"),
        ({"EndpointName": "drawing", "Body": b"x" * 128_001}, "body"),
        ({"EndpointName": "drawing", "Body": body, "Filename": "a.b.c"}, "filename"),
        ({"EndpointName": "drawing", "Body": body, "RequestTTLSeconds": 30_000}, "RequestTTLSeconds"),
    ):
        with pytest.raises(ClientError, match=words) as refused:
            call(**wrong)
        assert refused.value.response["Error"]["Code"] == "ValidationError"
