"""Posts a task and waits for its notice; prints the links of its pictures.

    .venv/bin/python examples/submit_and_wait.py "A lighthouse at dusk"    beside `make up`
    API_KEY=… python examples/submit_and_wait.py --endpoint https://… --topic-arn arn:aws:sns:… "A lighthouse at dusk"

The second form is for a deployed stack: its outputs FrontApiEndpoint and sdNotificationOutputArn. Needs boto3.
"""
# ruff: noqa: S310, T201

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import boto3


def main() -> int:
    """Read the command line, submit, wait; 0 when there is a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt")
    parser.add_argument("--runtime", default="sdruntime", help="an sdwebui runtime of config.yaml (%(default)s)")
    parser.add_argument("--endpoint", default=os.environ.get("FRONT_API_ENDPOINT"), help="the API's base URL")
    parser.add_argument("--topic-arn", default=os.environ.get("NOTICE_TOPIC_ARN"), help="the topic of notices")
    parser.add_argument("--stack-file", type=Path, default=Path(".local/stack.json"), help="of the local platform")
    parser.add_argument("--wait", type=float, default=900, help="seconds; a first GPU node takes minutes (%(default)s)")
    arguments = parser.parse_args()
    endpoint, topic_arn, api_key = arguments.endpoint, arguments.topic_arn, os.environ.get("API_KEY", "")
    if endpoint is None or topic_arn is None:
        stack = json.loads(arguments.stack_file.read_text(encoding="utf-8"))
        os.environ.update(stack["Environment"])
        endpoint, topic_arn, api_key = stack["FrontApiEndpoint"], stack["sdNotificationOutputArn"], stack["ApiKey"]
    task = make_task(arguments.runtime, arguments.prompt)
    notice = submit_and_wait(endpoint, api_key, topic_arn, task, arguments.wait)
    print(json.dumps(notice, indent=2))
    return 0 if notice is not None and notice["result"] else 1


def make_task(runtime: str, prompt: str) -> dict[str, Any]:
    """A text-to-image task under an id of its own."""
    metadata = {"id": f"example-{uuid.uuid4().hex[:8]}", "runtime": runtime, "tasktype": "text-to-image"}
    content = {"prompt": prompt, "steps": 20, "width": 512, "height": 512, "seed": 7}
    return {"task": {"metadata": metadata, "content": content}}


def submit_and_wait(
    endpoint: str, api_key: str, topic_arn: str, task: dict[str, Any], wait_s: float
) -> dict[str, Any] | None:
    """Listen first, then post, so that even the fastest notice is heard; None when none came in time."""
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url = sqs.create_queue(QueueName=f"wait-{uuid.uuid4().hex}")["QueueUrl"]
    try:
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sender = {
            "Principal": {"Service": "sns.amazonaws.com"},
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }
        statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn, **sender}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        subscription = sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
        try:
            job = post(endpoint, api_key, task)["job"]
            deadline = time.monotonic() + wait_s
            while time.monotonic() < deadline:
                answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
                for message in answer.get("Messages", []):
                    notice: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
                    if notice["job"] == job:
                        return notice
        finally:
            sns.unsubscribe(SubscriptionArn=subscription)
    finally:
        sqs.delete_queue(QueueUrl=url)
    return None


def post(endpoint: str, api_key: str, task: dict[str, Any]) -> dict[str, Any]:
    """Post a task; a refusal ends the program with the API's own words."""
    headers = {"x-api-key": api_key, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{endpoint.rstrip('/')}/v1alpha2", json.dumps(task).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=35) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as exc:
        sys.exit(f"refused with {exc.code}: {exc.read().decode()}")


if __name__ == "__main__":
    sys.exit(main())
