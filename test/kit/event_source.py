"""What Lambda does with a queue: ``python -m test.kit.event_source`` calls the agent's function with its messages.

EVENT_SOURCE in its environment is JSON: the queues' URLs, messages a call, seconds that the function may run, and
seconds of a lease.
"""

import dataclasses
import itertools
import json
import os
import time
import uuid

import boto3

from contract import queues
from local.sandbox import ACCOUNT, REGION

_SYSTEM = ["ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp", "AWSTraceHeader"]


class Invocation:
    """What Lambda says of a call."""

    def __init__(self, timeout_s):
        self.aws_request_id = str(uuid.uuid4())
        self._ends_s = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self):
        return int(1000 * (self._ends_s - time.monotonic()))


def record_of(url, message):
    """A message as Lambda passes it on."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}",
        "awsRegion": REGION,
    }


def main(urls, batch_size=1, timeout_s=900, lease_s=None):
    if lease_s is not None:
        queues.TASKS = dataclasses.replace(queues.TASKS, visibility_s=lease_s)
    from queue_agent.lambda_handler import handler

    sqs = boto3.client("sqs")
    print("event source runs", flush=True)
    for url in itertools.cycle(urls):
        taken = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=batch_size,
            WaitTimeSeconds=0 if len(urls) > 1 else 1,
            VisibilityTimeout=timeout_s,
            MessageSystemAttributeNames=_SYSTEM,
        )
        if not (messages := taken.get("Messages")):
            continue
        answer = handler({"Records": [record_of(url, one) for one in messages]}, Invocation(timeout_s))
        failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        print(f"event source: {len(messages)} messages, {len(failed)} failed", flush=True)
        for message in messages:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    main(**json.loads(os.environ["EVENT_SOURCE"]))
