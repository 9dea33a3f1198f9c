"""Posts a task and waits for its notice; prints the links of its pictures.

    .venv/bin/python examples/submit_and_wait.py "A lighthouse at dusk"    beside `make up`
    .venv/bin/python examples/submit_and_wait.py --runtime comfyruntime "A lighthouse at dusk"
    API_KEY=… python examples/submit_and_wait.py --endpoint https://… --topic-arn arn:aws:sns:… "A lighthouse at dusk"

The last form is for a deployed stack: its outputs FrontApiEndpoint and sdNotificationOutputArn. Needs boto3.
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

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ModuleNotFoundError:
    sys.exit("boto3 is missing: use .venv/bin/python, which `make up` makes, or install it: pip install boto3")

HERE = Path(__file__).resolve().parent
TASK_TYPES = {"sdwebui": "text-to-image", "comfyui": "pipeline", "flux": "text-to-image"}


def main() -> int:
    """Read the command line, submit, wait; 0 when there is a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt")
    parser.add_argument("--runtime", help="its name in config.yaml; default: the first one of the local platform")
    parser.add_argument("--type", choices=TASK_TYPES, help="of a deployed runtime; default: sdwebui")
    parser.add_argument("--content", type=Path, help="a JSON file with the task's content; PROMPT in it is replaced")
    parser.add_argument("--endpoint", default=os.environ.get("FRONT_API_ENDPOINT"), help="the API's base URL")
    parser.add_argument("--topic-arn", default=os.environ.get("NOTICE_TOPIC_ARN"), help="the topic of notices")
    parser.add_argument("--stack-file", type=Path, default=HERE.parent / ".local/stack.json", help="the local platform")
    parser.add_argument("--wait", type=float, default=900, help="seconds; a first GPU node takes minutes (%(default)s)")
    arguments = parser.parse_args()
    endpoint, topic_arn, api_key = arguments.endpoint, arguments.topic_arn, os.environ.get("API_KEY", "")
    types = {}
    if endpoint is None and topic_arn is None:
        stack = local_stack(arguments.stack_file)
        endpoint, topic_arn, api_key = stack["FrontApiEndpoint"], stack["sdNotificationOutputArn"], stack["ApiKey"]
        types = {runtime["name"]: runtime["type"] for runtime in stack["Runtimes"]}
    elif not (endpoint and topic_arn and api_key):
        parser.error("a deployed stack takes all three: --endpoint, --topic-arn, and API_KEY in the environment")
    runtime = arguments.runtime or next(iter(types), "sdruntime")
    content = None if arguments.content is None else arguments.content.read_text(encoding="utf-8")
    task = make_task(runtime, arguments.prompt, arguments.type or types.get(runtime, "sdwebui"), content)
    try:
        notice = submit_and_wait(endpoint, api_key, topic_arn, task, arguments.wait)
    except (BotoCoreError, ClientError) as exc:
        sys.exit(f"AWS refused: {exc}")
    if notice is None:
        sys.exit(f"No notice within {arguments.wait:g} seconds.")
    print(json.dumps(notice, indent=2))
    return 0 if notice["result"] else 1


def local_stack(file: Path) -> dict[str, Any]:
    """Read where the local platform is, and lead boto3 there; without one the program ends."""
    if not file.is_file():
        sys.exit(f"No platform runs here ({file} is not there). Start one: make up")
    stack: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    os.environ.update(stack["Environment"])
    return stack


def make_task(runtime: str, prompt: str, runtime_type: str = "sdwebui", content: str | None = None) -> dict[str, Any]:
    """A task under an id of its own, with the content that its type of runtime takes.

    Args:
        runtime: The runtime's name.
        prompt: What to draw.
        runtime_type: Its type.
        content: The content as JSON, in which the text PROMPT is replaced; None takes a small one.
    """
    if content is None and runtime_type == "comfyui":
        content = (HERE / "workflow.json").read_text(encoding="utf-8")
    if content is not None:
        given = json.loads(content.replace('"PROMPT"', json.dumps(prompt)))
    elif runtime_type == "flux":
        given = {"prompt": prompt, "width": 512, "height": 512, "seed": 7}
    else:
        given = {"prompt": prompt, "steps": 20, "width": 512, "height": 512, "seed": 7}
    metadata = {"id": f"example-{uuid.uuid4().hex[:8]}", "runtime": runtime, "tasktype": TASK_TYPES[runtime_type]}
    return {"task": {"metadata": metadata, "content": given}}


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
    except OSError as exc:
        sys.exit(f"{endpoint} does not answer: {getattr(exc, 'reason', exc)}")


if __name__ == "__main__":
    sys.exit(main())
