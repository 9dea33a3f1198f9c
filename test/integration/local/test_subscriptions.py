"""SNS of the local platform: each subscriber gets its notices whatever the others do."""

import base64
import json
import queue
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate

from local.aws import NOTICE_TOPIC_ARN, OUTPUT_BUCKET
from local.sandbox import ACCOUNT, REGION
from test.kit.aws import FakeAws

_PATIENCE_S = 60


class Notices:
    """The topic of notices, and queues that hear it."""

    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws
        self.subscriptions: list[str] = []

    def subscribe(self, protocol: str, endpoint: str, **attributes: str) -> str:
        options = {"TopicArn": NOTICE_TOPIC_ARN, "Protocol": protocol, "Endpoint": endpoint}
        arn = self.aws.sns.subscribe(**options, Attributes=attributes, ReturnSubscriptionArn=True)["SubscriptionArn"]
        self.subscriptions.append(str(arn))
        return str(arn)

    def queue(self) -> str:
        name = f"hears-{uuid.uuid4().hex}"
        url = self.aws.make_queue(name)
        self.subscribe("sqs", self.aws.queue_arn(name))
        return url

    def publish(self, message: str = "a notice", **attributes: str) -> None:
        given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self.aws.sns.publish(TopicArn=NOTICE_TOPIC_ARN, Message=message, MessageAttributes=given)

    def receive(self, url: str) -> dict[str, Any]:
        (message,) = self.aws.take(url, wait_s=20)
        envelope: dict[str, Any] = json.loads(message["Body"])
        return envelope


@pytest.fixture
def notices(aws: FakeAws) -> Iterator[Notices]:
    notices = Notices(aws)
    yield notices
    for arn in notices.subscriptions:
        aws.sns.unsubscribe(SubscriptionArn=arn)


class Receiver:
    """A webhook of ours, which keeps what comes, and answers when it may."""

    def __init__(self) -> None:
        self.received: queue.Queue[tuple[dict[str, str], str]] = queue.Queue()
        self.may_answer = threading.Event()
        self.may_answer.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver.received.put(({name.lower(): value for name, value in self.headers.items()}, body))
                receiver.may_answer.wait()
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/notices"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    threading.Thread(target=receiver.server.serve_forever, daemon=True).start()
    yield receiver
    receiver.may_answer.set()
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.mark.parametrize(
    ("protocol", "endpoint"),
    [
        ("sqs", f"arn:aws:sqs:{REGION}:{ACCOUNT}:never-made"),
        ("lambda", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:gone"),
        ("https", "https://no.such.host.invalid/"),
        ("http", ""),  # one that does not answer
        ("email", "you@example.com"),
    ],
)
def test_a_subscriber_that_cannot_be_reached_costs_the_others_nothing(
    notices: Notices, receiver: Receiver, protocol: str, endpoint: str
) -> None:
    receiver.may_answer.clear()
    notices.subscribe(protocol, endpoint or receiver.url)
    url = notices.queue()
    notices.publish()
    assert notices.receive(url)["Message"] == "a notice"


def test_a_webhook_gets_the_headers_that_sns_sends(notices: Notices, receiver: Receiver) -> None:
    arn = notices.subscribe("http", receiver.url)
    notices.publish(runtime="only")
    headers, body = receiver.received.get(timeout=_PATIENCE_S)
    envelope = json.loads(body)
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert headers["x-amz-sns-message-type"] == envelope["Type"] == "Notification"
    assert headers["x-amz-sns-message-id"] == envelope["MessageId"]
    assert headers["x-amz-sns-topic-arn"] == envelope["TopicArn"] == NOTICE_TOPIC_ARN
    assert headers["x-amz-sns-subscription-arn"] == arn
    assert envelope["Message"] == "a notice"
    assert envelope["MessageAttributes"]["runtime"]["Value"] == "only"


def test_a_webhooks_filter_holds_and_raw_delivery_is_the_message_alone(notices: Notices, receiver: Receiver) -> None:
    notices.subscribe("http", receiver.url, FilterPolicy='{"result": ["false"]}', RawMessageDelivery="true")
    notices.publish("good", result="true")
    notices.publish("bad", result="false")
    headers, body = receiver.received.get(timeout=_PATIENCE_S)
    assert (headers["x-amz-sns-rawdelivery"], body) == ("true", "bad")


def test_the_certificate_of_a_signature_is_found_where_the_notice_says(notices: Notices) -> None:
    url = notices.queue()
    notices.publish()
    envelope = notices.receive(url)
    assert envelope["SigningCertURL"].startswith(f"{notices.aws.url}/SimpleNotificationService-")
    certificate = load_pem_x509_certificate(httpx.get(envelope["SigningCertURL"]).content)
    signed = [(name, envelope[name]) for name in ("Message", "MessageId", "Timestamp", "TopicArn", "Type")]
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    text = "".join(f"{name}\n{value}\n" for name, value in signed)
    key.verify(base64.b64decode(envelope["Signature"]), text.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_the_link_to_unsubscribe_does_that(notices: Notices) -> None:
    url = notices.queue()
    notices.publish()
    link = notices.receive(url)["UnsubscribeURL"]
    assert link.startswith(notices.aws.url)
    assert httpx.get(link).status_code == 200
    left = notices.aws.sns.list_subscriptions_by_topic(TopicArn=NOTICE_TOPIC_ARN)["Subscriptions"]
    assert notices.subscriptions.pop() not in {one["SubscriptionArn"] for one in left}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_anybody_on_this_machine_can_read_a_picture_and_ask_for_its_headers(notices: Notices, method: str) -> None:
    notices.aws.s3.put_object(Bucket=OUTPUT_BUCKET, Key="a.png", Body=b"12345", ContentType="image/png")
    answer = httpx.request(method, f"{notices.aws.url}/{OUTPUT_BUCKET}/a.png")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Length"] == "5"
