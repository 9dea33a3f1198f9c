"""SQS of the local platform: clients that wait for messages."""

import json
import socket
import threading
import uuid

import pytest

from local.sandbox import REGION


@pytest.fixture
def queue(aws):
    return aws.make_queue(f"polled-{uuid.uuid4().hex}")


def test_a_message_is_not_spent_on_a_client_that_has_gone(aws, queue):
    port = int(aws.url.rpartition(":")[2])
    body = json.dumps({"QueueUrl": queue, "WaitTimeSeconds": 20})
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
    aws.sqs.send_message(QueueUrl=queue, MessageBody="for the living")
    assert [message["Body"] for message in aws.take(queue, wait_s=20)] == ["for the living"]


def test_clients_that_wait_together_get_every_message_once_and_none_twice(aws, queue):
    got = []

    def receive():
        while "last" not in got:
            answer = aws.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=3)
            got.extend(message["Body"] for message in answer.get("Messages", []))

    clients = [threading.Thread(target=receive) for _ in range(6)]
    for client in clients:
        client.start()
    sent = [*map(str, range(30)), "last"]
    for body in sent:
        aws.sqs.send_message(QueueUrl=queue, MessageBody=body)
    for client in clients:
        client.join()
    assert sorted(got) == sorted(sent)
