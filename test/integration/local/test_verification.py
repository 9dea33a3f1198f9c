"""``python -m deploy.verify``, and what it says of a platform whose door answers as a test wants."""

import json
import os
import subprocess
import sys
import threading

import pytest

from contract.objects import TENANT_METADATA, tenant_label
from deploy.errors import DeployError
from deploy.verify.samples import INPUT_KEY, Sample
from deploy.verify.target import Target
from deploy.verify.verification import verify
from local.aws import NOTICE_TOPIC_ARN, OUTPUT_BUCKET
from local.sandbox import REGION
from test.kit.processes import ROOT
from test.kit.web import posts_answered

PNG = b"\x89PNG\r\n\x1a\n and more"


class Platform:
    """A platform that answers ``refusals`` first, then accepts a job which is as ``job`` says."""

    def __init__(self, aws):
        self.aws = aws
        self.refusals = []
        self.posts = 0
        self.job = {"state": "succeeded", "ended_at": "2026-01-01T00:00:02Z", "images": ["a.png"]}
        self.pictures = {"a.png": PNG, "b.png": b"<html>"}

    def answer(self, _, headers, body):
        self.posts += 1
        if self.refusals:
            status, headers, refusal = self.refusals.pop(0)
            return status, headers, json.dumps(refusal).encode()
        return 200, {}, b'{"job": "job-1"}'

    def get(self, path):
        if path.startswith("/pictures/"):
            found = self.pictures.get(path.removeprefix("/pictures/"))
            return (404, {}, b"") if found is None else (200, {}, found)
        assert path.partition("?")[0] in ("/v1/jobs", "/v1/jobs/job-1")
        links = [{"url": f"{self.endpoint}/pictures/{name}", "s3": f"s3://b/{name}"} for name in self.job["images"]]
        job = {"job": "job-1", "task_id": "t", "runtime": "mine", "type": "text-to-image", "version": 1}
        job |= {"created_at": "2026-01-01T00:00:00Z", **self.job, "images": links}
        other = job | {"job": "somebody-elses", "state": "failed"}
        return 200, {}, json.dumps({"jobs": [other, job], "next": None} if "?" in path else job).encode()

    def run(self, wait_s=60, stop=None):
        target = Target(
            endpoint=self.endpoint,
            api_key="key",
            api_key_id="mine",
            bucket=OUTPUT_BUCKET,
            notice_topic_arn=NOTICE_TOPIC_ARN,
            client=lambda service, **_: self.aws.client(service),
        )
        file = ROOT / "runtimes/sdwebui/samples/v1alpha2/t2i.json"
        return list(
            verify(target, [Sample(file=file, api_version="v1alpha2", runtime="mine")], wait_s=wait_s, stop=stop)
        )


@pytest.fixture
def platform(aws):
    platform = Platform(aws)
    with posts_answered(platform.answer, platform.get) as platform.endpoint:
        yield platform


def test_a_job_with_a_picture_is_a_success_whatever_becomes_of_others(platform):
    (outcome,) = platform.run()
    assert (outcome.problem, outcome.pictures[0].content, outcome.seconds) == (None, PNG, 2.0)


def test_the_input_belongs_to_the_api_key_whose_tasks_read_it(platform):
    platform.run(wait_s=0)
    there = platform.aws.s3.head_object(Bucket=OUTPUT_BUCKET, Key=INPUT_KEY)
    assert (there["ContentType"], there["Metadata"]) == ("image/png", {TENANT_METADATA: tenant_label("mine")})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"images": ["gone.png"]}, "The answer is empty. (404 Not Found)"),
        ({"images": []}, "it has no picture"),
        ({"images": ["b.png"]}, "s3://b/b.png is no picture (6 bytes)"),
        ({"state": "failed", "error": {"code": "input_failed", "message": "dead link"}}, "input_failed: dead link"),
        ({"state": "cancelled"}, "cancelled"),
        ({"state": "running", "ended_at": None}, "not ended within 2 seconds"),
    ],
)
def test_a_failed_job_or_a_missing_picture_is_a_failure_with_its_reason(platform, changes, problem):
    platform.job |= changes
    (outcome,) = platform.run(wait_s=2)
    assert (outcome.problem, outcome.pictures) == (problem, ())


DETAILS = [{"field": "task.content.steps", "problem": "must be a number"}, {"field": "", "problem": "is odd"}]
QUOTA = {"error": {"code": "throttled", "message": "This key has used up its quota.", "details": []}}


@pytest.mark.parametrize(
    ("status", "headers", "answer", "words"),
    [
        (
            *(400, {}),
            {"error": {"code": "invalid_request", "message": "It has 2 faults.", "details": DETAILS}},
            "task.content.steps must be a number; is odd",
        ),
        (400, {}, {"message": "Forbidden"}, '{"message": "Forbidden"}'),
        (400, {}, "text", '"text"'),
        (400, {}, [], "[]"),
        # Throttled, and not told when to come again in time.
        (429, {}, QUOTA, "This key has used up its quota."),
        (429, {"Retry-After": "soon"}, QUOTA, "This key has used up its quota."),
        (429, {"Retry-After": "3600"}, QUOTA, "This key has used up its quota."),
    ],
)
def test_a_refusal_is_shown_with_all_its_faults_or_as_it_is(platform, status, headers, answer, words):
    platform.refusals = [(status, headers, answer)]
    (outcome,) = platform.run()
    assert outcome.problem == f"refused with {status}: {words}"
    assert platform.posts == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_or_busy_api_is_asked_again_when_it_says(platform, status):
    platform.refusals = [(status, {"Retry-After": "1"}, None)] * 2
    (outcome,) = platform.run()
    assert (outcome.problem, platform.posts) == (None, 3)


def test_it_ends_when_it_is_stopped_or_when_nothing_answers(platform):
    stopped = threading.Event()
    stopped.set()
    assert platform.run(stop=stopped) == []
    platform.endpoint = "http://127.0.0.1:1"
    with pytest.raises(DeployError, match="does not answer"):
        platform.run()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"CDK_CONFIG_PATH": "elsewhere.yaml"}, "elsewhere.yaml: No such file"),
        ({"CDK_CONFIG_PATH": "broken.yaml"}, "broken.yaml"),
        ({"WAIT_SECONDS": "soon"}, "WAIT_SECONDS=soon is no number of seconds."),
        ({"RUNTIME_NAME": "mine", "RUNTIME_TYPE": "comfyui"}, "AWS cannot be reached: Could not connect"),
    ],
)
def test_what_the_command_misses_is_named(tmp_path, variables, words):
    (tmp_path / "broken.yaml").write_text("stackName: [")
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": REGION, "AWS_MAX_ATTEMPTS": "1"}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.verify"],
        cwd=tmp_path,
        env=environment | nowhere | keys | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
