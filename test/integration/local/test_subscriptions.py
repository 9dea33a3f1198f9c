"""SNS of the local platform: each subscriber gets its notices whatever the others do."""

import base64
import json
import queue
import threading
import uuid

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509 import load_pem_x509_certificate

from local.aws import OUTPUT_BUCKET
from local.sandbox import ACCOUNT, REGION
from test.kit.web import posts_answered

_PATIENCE_S = 60


class Notices:
    """A topic, and a queue that hears it."""

    def __init__(self, aws):
        self.aws = aws
        name = f"hears-{uuid.uuid4().hex}"
        self._queue = aws.make_queue(name)
        self.topic = aws.make_topic(name)
        self._endpoint = aws.queue_arn(name)

    def subscribe(self, protocol, endpoint, **attributes):
        options = {"TopicArn": self.topic, "Protocol": protocol, "Endpoint": endpoint}
        return self.aws.sns.subscribe(**options, Attributes=attributes, ReturnSubscriptionArn=True)["SubscriptionArn"]

    def subscribe_queue(self):
        return self.subscribe("sqs", self._endpoint)

    def publish(self, message="a notice", **attributes):
        given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self.aws.sns.publish(TopicArn=self.topic, Message=message, MessageAttributes=given)

    def receive(self):
        """The envelope of the one message in the queue."""
        (message,) = self.aws.take(self._queue, wait_s=20)
        return json.loads(message["Body"])


@pytest.fixture
def notices(aws):
    return Notices(aws)


@pytest.fixture
def webhook():
    """The URL of a webhook, and the queue of what has come: headers and body."""
    received = queue.Queue()

    def answer(_, headers, body):
        received.put((headers, body.decode()))
        return 200, {}, b""

    with posts_answered(answer) as url:
        yield url, received


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
def test_a_subscriber_that_cannot_be_reached_costs_the_others_nothing(notices, protocol, endpoint):
    may_answer = threading.Event()
    with posts_answered(lambda *_: (may_answer.wait() and 200, {}, b"")) as url:
        notices.subscribe(protocol, endpoint or url)
        notices.subscribe_queue()
        notices.publish()
        assert notices.receive()["Message"] == "a notice"
        may_answer.set()


def test_a_webhook_gets_the_headers_that_sns_sends(notices, webhook):
    url, received = webhook
    arn = notices.subscribe("http", url)
    notices.publish(runtime="only")
    headers, body = received.get(timeout=_PATIENCE_S)
    envelope = json.loads(body)
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert headers["x-amz-sns-message-type"] == envelope["Type"] == "Notification"
    assert headers["x-amz-sns-message-id"] == envelope["MessageId"]
    assert headers["x-amz-sns-topic-arn"] == envelope["TopicArn"] == notices.topic
    assert headers["x-amz-sns-subscription-arn"] == arn
    assert (envelope["Message"], envelope["MessageAttributes"]["runtime"]["Value"]) == ("a notice", "only")


def test_a_webhooks_filter_holds_and_raw_delivery_is_the_message_alone(notices, webhook):
    url, received = webhook
    notices.subscribe("http", url, FilterPolicy='{"result": ["false"]}', RawMessageDelivery="true")
    notices.publish("good", result="true")
    notices.publish("bad", result="false")
    headers, body = received.get(timeout=_PATIENCE_S)
    assert (headers["x-amz-sns-rawdelivery"], body) == ("true", "bad")


def test_the_links_of_a_notice_lead_to_the_certificate_of_its_signature_and_out_of_the_subscription(notices):
    notices.subscribe_queue()
    notices.publish()
    envelope = notices.receive()
    assert envelope["SigningCertURL"].startswith(f"{notices.aws.url}/SimpleNotificationService-")
    certificate = load_pem_x509_certificate(httpx.get(envelope["SigningCertURL"]).content)
    signed = [(name, envelope[name]) for name in ("Message", "MessageId", "Timestamp", "TopicArn", "Type")]
    text = "".join(f"{name}\n{value}\n" for name, value in signed)
    signature = base64.b64decode(envelope["Signature"])
    certificate.public_key().verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert envelope["UnsubscribeURL"].startswith(notices.aws.url)
    assert httpx.get(envelope["UnsubscribeURL"]).status_code == 200
    assert notices.aws.sns.list_subscriptions_by_topic(TopicArn=notices.topic)["Subscriptions"] == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_anybody_on_this_machine_can_read_a_picture_and_ask_for_its_headers(aws, method):
    aws.s3.put_object(Bucket=OUTPUT_BUCKET, Key="a.png", Body=b"12345", ContentType="image/png")
    answer = httpx.request(method, f"{aws.url}/{OUTPUT_BUCKET}/a.png")
    assert answer.status_code == 200
    assert (answer.headers["Content-Type"], answer.headers["Content-Length"]) == ("image/png", "5")
