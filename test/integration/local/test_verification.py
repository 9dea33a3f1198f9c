import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contract.ids import new_job_id
from contract.notice import JobError, Notice
from contract.objects import TENANT_METADATA, tenant_label
from deploy.errors import DeployError
from deploy.verify.samples import INPUT_KEY, Sample
from deploy.verify.target import Target
from deploy.verify.verification import SampleOutcome, verify
from local.aws import NOTICE_TOPIC_ARN, OUTPUT_BUCKET
from local.sandbox import REGION
from test.kit.aws import FakeAws

PNG = b"\x89PNG\r\n\x1a\n and more"


class Platform:
    """A door that answers everything, and publishes whatever notice the test wants."""

    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws
        self.topic = NOTICE_TOPIC_ARN
        self.status = 200
        self.answer: Any = {}
        self.headers: dict[str, str] = {}
        self.first: list[int] = []
        self.posts = 0
        self.messages_before: tuple[str, ...] = ()
        self.notices: list[dict[str, Any]] = []
        self.endpoint = ""

    def accept(self, body: dict[str, Any]) -> None:
        for message in self.messages_before:
            self.aws.sns.publish(TopicArn=self.topic, Message=message)
        defaults = {"result": True, "status": "succeeded", "image_url": [], "output_url": None, "context": None}
        defaults |= {"id": body["task"]["metadata"]["id"], "runtime": "mine"}
        for changes in self.notices:
            message = Notice(**(defaults | {"job": new_job_id()} | changes)).to_message()
            self.aws.sns.publish(TopicArn=self.topic, Message=message)

    def store(self, key: str, data: bytes) -> dict[str, Any]:
        """Put an object there; returns what a notice says of it."""
        self.aws.s3.put_object(Bucket=OUTPUT_BUCKET, Key=key, Body=data)
        return {"image_url": [f"s3://{OUTPUT_BUCKET}/{key}"]}

    def client(self, service: str, **_: Any) -> Any:
        return self.aws.client(service)

    def run(self, wait_s: float = 60, stop: threading.Event | None = None) -> list[SampleOutcome]:
        target = Target(
            endpoint=self.endpoint,
            api_key="key",
            api_key_id="mine",
            bucket=OUTPUT_BUCKET,
            notice_topic_arn=self.topic,
            client=self.client,
        )
        samples = [
            Sample(file=Path("runtimes/sdwebui/samples/v1alpha2/t2i.json"), api_version="v1alpha2", runtime="mine")
        ]
        return list(verify(target, samples, wait_s=wait_s, stop=stop))

    @property
    def temporary(self) -> tuple[list[str], list[Any]]:
        """Queues and subscriptions of verifications that are there now."""
        queues = self.aws.sqs.list_queues(QueueNamePrefix="sd-on-eks-verify").get("QueueUrls", [])
        return queues, self.aws.sns.list_subscriptions_by_topic(TopicArn=NOTICE_TOPIC_ARN)["Subscriptions"]


@pytest.fixture
def platform(aws: FakeAws) -> Iterator[Platform]:
    platform = Platform(aws)

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            platform.posts += 1
            if platform.posts <= len(platform.first):
                self.send_response(platform.first[platform.posts - 1])
                self.send_header("Retry-After", "1")
                self.end_headers()
                return
            if platform.status == 200:
                platform.accept(body)
            self.send_response(platform.status)
            for name, value in platform.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(platform.answer).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        platform.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield platform
        server.shutdown()


def test_a_picture_in_s3_is_a_success_whatever_others_publish_to_the_topic(platform: Platform) -> None:
    platform.messages_before = ("not json", "{}", "[]", '"text"')
    platform.notices = [{"id": "somebody-elses"}, platform.store("a.png", PNG)]
    (outcome,) = platform.run()
    assert outcome.problem is None
    assert outcome.pictures[0].content == PNG
    assert outcome.seconds is not None


def test_the_input_belongs_to_the_api_key_whose_tasks_read_it(platform: Platform) -> None:
    platform.run(wait_s=0)
    there = platform.aws.s3.head_object(Bucket=OUTPUT_BUCKET, Key=INPUT_KEY)
    assert there["ContentType"] == "image/png"
    assert there["Metadata"] == {TENANT_METADATA: tenant_label("mine")}


FAILED = {"result": False, "status": "failed", "error": JobError(code="input_failed", message="dead link")}


@pytest.mark.parametrize(
    ("notice", "problem"),
    [
        ({"image_url": [f"s3://{OUTPUT_BUCKET}/gone.png"]}, "gone.png is not there: NoSuchKey"),
        ({"image_url": []}, "names no picture"),
        ({"image_url": ["https://elsewhere/a.png"]}, "must look like s3://"),
        ({"image_url": [f"s3://{OUTPUT_BUCKET}/b.png"]}, "is no picture"),
        (FAILED, "input_failed: dead link"),
        ({"id": "somebody-elses"}, "no notice within"),
    ],
)
def test_a_failed_task_or_a_missing_picture_is_a_failure_with_its_reason(
    platform: Platform, notice: dict[str, Any], problem: str
) -> None:
    platform.store("b.png", b"<html>")
    platform.notices = [notice]
    (outcome,) = platform.run(wait_s=2 if "id" in notice else 60)
    assert problem in str(outcome.problem)
    assert outcome.pictures == ()


DETAILS = [{"field": "task.content.steps", "problem": "must be a number"}, {"field": "", "problem": "is odd"}]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            {"error": {"code": "invalid_request", "message": "It has 2 faults.", "details": DETAILS}},
            "task.content.steps must be a number; is odd",
        ),
        ({"message": "Forbidden"}, '{"message": "Forbidden"}'),
        ("text", '"text"'),
        ([], "[]"),
    ],
)
def test_a_refusal_is_shown_with_all_its_faults_or_as_it_is(platform: Platform, answer: Any, words: str) -> None:
    platform.status, platform.answer = 400, answer
    (outcome,) = platform.run()
    assert outcome.problem == f"refused with 400: {words}"


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_or_busy_api_is_asked_again_when_it_says(platform: Platform, status: int) -> None:
    platform.notices = [platform.store("a.png", PNG)]
    platform.first = [status, status]
    (outcome,) = platform.run(wait_s=30)
    assert outcome.problem is None
    assert platform.posts == 3


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "3600"}])
def test_one_that_does_not_say_when_in_time_has_refused(platform: Platform, headers: dict[str, str]) -> None:
    platform.status, platform.headers = 429, headers
    platform.answer = {"error": {"code": "throttled", "message": "This key has used up its quota.", "details": []}}
    (outcome,) = platform.run()
    assert outcome.problem == "refused with 429: This key has used up its quota."
    assert platform.posts == 1


def test_no_queue_and_no_subscription_is_left_however_it_ends(platform: Platform) -> None:
    platform.run(wait_s=0)
    assert platform.temporary == ([], [])
    stopped = threading.Event()
    stopped.set()
    assert platform.run(wait_s=60, stop=stopped) == []
    platform.endpoint = "http://127.0.0.1:1"
    with pytest.raises(DeployError, match="does not answer"):
        platform.run()
    platform.topic = f"arn:aws:sns:{REGION}:123456789012:no-such-topic"
    with pytest.raises(DeployError, match="AWS refused"):
        platform.run()
    assert platform.temporary == ([], [])
