import json
import threading

import pytest
from botocore.exceptions import EndpointConnectionError

from bench.editing.noticing import NoNoticeError, NoticeBoard
from contract.notice import Notice
from deploy.verify.target import Target


class Aws:
    """SQS and SNS as far as a queue of notices needs them; a message is put there by the test."""

    def __init__(self):
        self.messages = []
        self.arrived = threading.Event()
        self.is_away = False

    def receive_message(self, **_):
        if self.is_away:
            raise EndpointConnectionError(endpoint_url="http://sqs")
        self.arrived.wait(0.02)
        taken, self.messages = self.messages, []
        return {"Messages": [{"Body": body, "ReceiptHandle": "h"} for body in taken]}

    def put(self, task_id):
        status = {"image_url": [], "output_url": None, "context": None, "runtime": "r", "status": "succeeded"}
        message = Notice(id=task_id, job="j", result=True, **status).to_message()
        self.messages.append(json.dumps({"Message": message}))

    def __getattr__(self, name):
        answer = {"QueueUrl": "u", "Attributes": {"QueueArn": "arn"}, "SubscriptionArn": "arn"}
        return lambda **_: answer


@pytest.fixture
def aws():
    return Aws()


@pytest.fixture
def board(aws):
    target = Target(endpoint="e", api_key="k", bucket="b", notice_topic_arn="t", client=lambda _: aws)
    with NoticeBoard(target, "run") as board:
        yield board


def test_a_notice_that_came_before_anybody_waited_is_given(aws, board):
    aws.put("run-one")
    aws.put("run-two")
    assert board.wait("run-two", 5).notice.id == "run-two"
    assert board.wait("run-one", 0).notice.id == "run-one"


def test_a_notice_of_another_run_is_not_waited_for(aws, board):
    aws.put("other-one")
    with pytest.raises(NoNoticeError, match=r"No notice came within 0\.1 seconds"):
        board.wait("other-one", 0.1)


def test_when_notices_cannot_be_read_all_who_wait_are_told(aws, board):
    aws.is_away = True
    with pytest.raises(NoNoticeError, match="cannot be read"):
        board.wait("run-one", 5)


def test_who_waits_is_told_when_the_run_is_ended(aws):
    told = []

    def wait():
        try:
            board.wait("run-one", 30)
        except NoNoticeError as exc:
            told.append(str(exc))

    target = Target(endpoint="e", api_key="k", bucket="b", notice_topic_arn="t", client=lambda _: aws)
    with NoticeBoard(target, "run") as board:
        thread = threading.Thread(target=wait)
        thread.start()
    thread.join(5)
    assert told == ["The run was ended."]
