"""``python -m deploy.verify``, and what it says of a platform whose door answers as a test wants."""

import json
import os
import subprocess
import sys
import threading

import pytest

from contract.ids import new_job_id
from contract.notice import JobError, Notice
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
    """A platform that answers ``refusals`` first, and publishes whatever messages and notices a test wants."""

    def __init__(self, aws):
        self.aws = aws
        self.topic = NOTICE_TOPIC_ARN
        self.refusals = []
        self.posts = 0
        self.messages, self.notices = (), []

    def answer(self, _, headers, body):
        self.posts += 1
        if self.refusals:
            status, headers, refusal = self.refusals.pop(0)
            return status, headers, json.dumps(refusal).encode()
        defaults = {"result": True, "status": "succeeded", "image_url": [], "output_url": None, "context": None}
        defaults |= {"id": json.loads(body)["task"]["metadata"]["id"], "runtime": "mine", "job": new_job_id()}
        for message in [*self.messages, *(Notice(**(defaults | one)).to_message() for one in self.notices)]:
            self.aws.sns.publish(TopicArn=self.topic, Message=message)
        return 200, {}, b"{}"

    def store(self, key, data):
        """Put an object there; returns what a notice says of it."""
        self.aws.s3.put_object(Bucket=OUTPUT_BUCKET, Key=key, Body=data)
        return {"image_url": [f"s3://{OUTPUT_BUCKET}/{key}"]}

    def run(self, wait_s=60, stop=None):
        target = Target(
            endpoint=self.endpoint,
            api_key="key",
            api_key_id="mine",
            bucket=OUTPUT_BUCKET,
            notice_topic_arn=self.topic,
            client=lambda service, **_: self.aws.client(service),
        )
        file = ROOT / "runtimes/sdwebui/samples/v1alpha2/t2i.json"
        return list(
            verify(target, [Sample(file=file, api_version="v1alpha2", runtime="mine")], wait_s=wait_s, stop=stop)
        )

    @property
    def temporary(self):
        """Queues and subscriptions of verifications that are there now."""
        queues = self.aws.sqs.list_queues(QueueNamePrefix="sd-on-eks-verify").get("QueueUrls", [])
        return queues, self.aws.sns.list_subscriptions_by_topic(TopicArn=NOTICE_TOPIC_ARN)["Subscriptions"]


@pytest.fixture
def platform(aws):
    platform = Platform(aws)
    with posts_answered(platform.answer) as platform.endpoint:
        yield platform


def test_a_picture_in_s3_is_a_success_whatever_others_publish_to_the_topic(platform):
    platform.messages = ("not json", "{}", "[]", '"text"')
    platform.notices = [{"id": "somebody-elses"}, platform.store("a.png", PNG)]
    (outcome,) = platform.run()
    assert (outcome.problem, outcome.pictures[0].content) == (None, PNG)
    assert outcome.seconds is not None


def test_the_input_belongs_to_the_api_key_whose_tasks_read_it(platform):
    platform.run(wait_s=0)
    there = platform.aws.s3.head_object(Bucket=OUTPUT_BUCKET, Key=INPUT_KEY)
    assert (there["ContentType"], there["Metadata"]) == ("image/png", {TENANT_METADATA: tenant_label("mine")})


@pytest.mark.parametrize(
    ("notice", "problem"),
    [
        ({"image_url": [f"s3://{OUTPUT_BUCKET}/gone.png"]}, "gone.png is not there: NoSuchKey"),
        ({"image_url": []}, "names no picture"),
        ({"image_url": ["https://elsewhere/a.png"]}, "must look like s3://"),
        ({"image_url": [f"s3://{OUTPUT_BUCKET}/b.png"]}, "is no picture"),
        (
            {"result": False, "status": "failed", "error": JobError(code="input_failed", message="dead link")},
            "input_failed: dead link",
        ),
        ({"id": "somebody-elses"}, "no notice within"),
    ],
)
def test_a_failed_task_or_a_missing_picture_is_a_failure_with_its_reason(platform, notice, problem):
    platform.store("b.png", b"<html>")
    platform.notices = [notice]
    (outcome,) = platform.run(wait_s=2 if "id" in notice else 60)
    assert problem in str(outcome.problem)
    assert outcome.pictures == ()


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
    platform.notices = [platform.store("a.png", PNG)]
    platform.refusals = [(status, {"Retry-After": "1"}, None)] * 2
    (outcome,) = platform.run()
    assert (outcome.problem, platform.posts) == (None, 3)


def test_no_queue_and_no_subscription_is_left_however_it_ends(platform):
    stopped = threading.Event()
    stopped.set()
    assert platform.run(stop=stopped) == []
    platform.endpoint = "http://127.0.0.1:1"
    with pytest.raises(DeployError, match="does not answer"):
        platform.run()
    platform.topic = f"arn:aws:sns:{REGION}:123456789012:no-such-topic"
    with pytest.raises(DeployError, match="AWS refused"):
        platform.run()
    assert platform.temporary == ([], [])


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
