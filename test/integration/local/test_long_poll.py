import json
import socket
import threading

import pytest

from local.sandbox import REGION
from test.kit.aws import FakeAws


def test_a_message_is_not_spent_on_a_client_that_has_gone(aws: FakeAws) -> None:
    url, port = aws.queue_url("only"), int(aws.url.rpartition(":")[2])
    body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20})
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            (
                f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
                "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n"
                f"Authorization: AWS4-HMAC-SHA256 Credential=local/20260101/{REGION}/sqs/aws4_request, "
                "SignedHeaders=host, Signature=0\r\n\r\n" + body
            ).encode()
        )
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)  # it waits
    aws.sqs.send_message(QueueUrl=url, MessageBody="for the living")
    received = aws.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages", [])
    assert [message["Body"] for message in received] == ["for the living"]
    aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"])


def test_a_waiting_client_gets_a_message_as_soon_as_it_comes(aws: FakeAws) -> None:
    url = aws.queue_url("only")
    waited_ms = []
    for _ in range(3):
        threading.Timer(0.3, aws.sqs.send_message, kwargs={"QueueUrl": url, "MessageBody": "now"}).start()
        (received,) = aws.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, AttributeNames=["All"])["Messages"]
        times = received["Attributes"]
        waited_ms.append(int(times["ApproximateFirstReceiveTimestamp"]) - int(times["SentTimestamp"]))
        aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
    assert min(waited_ms) < 500, "nearer to the next look, which comes once a second, than to the message"


def test_clients_that_wait_together_never_get_the_same_message(aws: FakeAws) -> None:
    url = aws.queue_url("only")
    got: list[str] = []

    def receive() -> None:
        for _ in range(5):
            answer = aws.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=3)
            got.extend(message["Body"] for message in answer.get("Messages", []))

    clients = [threading.Thread(target=receive) for _ in range(6)]
    for client in clients:
        client.start()
    for number in range(30):
        aws.sqs.send_message(QueueUrl=url, MessageBody=str(number))
    for client in clients:
        client.join()
    assert sorted(got, key=int) == [str(number) for number in range(30)]
