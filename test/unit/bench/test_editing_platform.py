import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bench.editing.cases import BenchError, Body, Case, write_cases
from bench.editing.contents import ContentError
from bench.editing.load import Load, UnsuccessfulError
from bench.editing.noticing import Heard
from bench.editing.platform import Platform, TaskError, find_target
from contract.notice import JobError, Notice
from deploy.verify.target import Target

REFUSAL = b'{"error": {"code": "invalid_request", "message": "steps must be at least 1", "details": []}}'


class Aws:
    """S3, SQS and SNS as far as a client of the platform needs them; nothing is ever received."""

    def __init__(self):
        self.put = []

    def put_object(self, **asked):
        self.put.append(asked["Key"])

    def generate_presigned_url(self, _, **asked):
        return "https://{Bucket}/{Key}".format(**asked["Params"])

    def receive_message(self, **_):
        threading.Event().wait(0.01)
        return {}

    def __getattr__(self, name):
        answer = {"QueueUrl": "u", "Attributes": {"QueueArn": "arn"}, "SubscriptionArn": "arn"}
        return lambda **_: answer


class Door(BaseHTTPRequestHandler):
    """Refuses what has no content."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = self.headers["x-api-key"] != "key" or not body["task"]["content"]
        self.send_response(400 if refused else 200)
        self.end_headers()
        self.wfile.write(REFUSAL if refused else b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def aws():
    return Aws()


@pytest.fixture
def door():
    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def target_of(aws, endpoint="http://127.0.0.1:1", bucket="bucket"):
    return Target(endpoint=endpoint, api_key="key", bucket=bucket, notice_topic_arn="t", client=lambda *_, **__: aws)


def test_a_refusal_is_told_in_the_apis_own_words(aws, door):
    platform = Platform(target_of(aws, door), "run")
    platform.post({"task": {"content": {"prompt": "x"}}})
    with pytest.raises(TaskError, match=r"refused with 400: .*steps must be at least 1"):
        platform.post({"task": {"content": {}}})


def test_a_platform_that_does_not_answer_costs_a_task(aws):
    with pytest.raises(TaskError, match="does not answer"):
        Platform(target_of(aws), "run").post({})


def test_a_file_is_laid_in_the_bucket_once_however_often_its_link_is_wanted(aws, tmp_path):
    (tmp_path / "in.png").write_bytes(b"x")
    platform = Platform(target_of(aws), "run")
    links = {platform.link(tmp_path / "in.png") for _ in range(3)}
    assert links == {f"https://bucket/bench/run/inputs/{tmp_path.name}/in.png"}
    assert len(aws.put) == 1


def test_links_need_a_bucket(aws, tmp_path):
    with pytest.raises(ContentError, match="--bucket"):
        Platform(target_of(aws, bucket=""), "run").link(tmp_path / "in.png")


def test_an_endpoint_alone_is_no_platform(tmp_path):
    with pytest.raises(BenchError, match="--topic-arn are needed"):
        find_target(stack_file=tmp_path, endpoint="https://e", api_key_file=None, topic_arn=None, bucket=None)


def test_the_key_is_read_from_its_file_and_shown_nowhere(tmp_path):
    (tmp_path / "key").write_text("secret\n")
    target = find_target(
        stack_file=tmp_path, endpoint="https://e/", api_key_file=tmp_path / "key", topic_arn="t", bucket=None
    )
    assert (target.endpoint, target.api_key) == ("https://e", "secret")
    assert "secret" not in repr(target)


@pytest.fixture
def load(aws, tmp_path):
    body = Body(tasktype="edit", content={"prompt": "${prompt}"})
    write_cases(tmp_path, [Case(id="seldom", body=body), Case(id="often", body=body, weight=9)])
    load = Load(target_of(aws), runtime="r", folder=tmp_path, template="flux-edit", wait_s=0.05)
    load.begin()
    yield load
    load.end()


def test_a_case_of_more_weight_comes_more_often_and_each_time_under_another_id(load):
    postings = [load.next_posting() for _ in range(300)]
    counts = Counter(posting.case.id for posting in postings)
    assert counts["often"] > 4 * counts["seldom"] > 0
    assert len({posting.task_id for posting in postings}) == 300


def test_a_task_whose_notice_does_not_come_is_unsuccessful(load):
    with pytest.raises(UnsuccessfulError, match="No notice came"):
        load.await_picture(load.next_posting())


def test_a_task_that_failed_is_unsuccessful_under_its_code(load, monkeypatch):
    problem = JobError(code="rejected", message="A sentence that differs each time.")
    status = {"image_url": [], "output_url": None, "context": None, "runtime": "r", "status": "failed"}
    notice = Notice(id="t", job="j", result=False, error=problem, **status)
    monkeypatch.setattr("bench.editing.noticing.NoticeBoard.wait", lambda *_: Heard(notice, 1.0))
    with pytest.raises(UnsuccessfulError, match=r"^rejected$"):
        load.await_picture(load.next_posting())
