"""Listens for notices and saves the pictures they name, until Ctrl-C.

    .venv/bin/python examples/consume_notices.py                    beside `make up`
    python examples/consume_notices.py --topic-arn arn:aws:sns:…    a deployed stack: its sdNotificationOutputArn

Needs boto3. The queue stays when the program ends, so that nothing is missed until it runs again.
"""
# ruff: noqa: T201

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ModuleNotFoundError:
    sys.exit("boto3 is missing: use .venv/bin/python, which `make up` makes, or install it: pip install boto3")

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Read the command line and listen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topic-arn", default=os.environ.get("NOTICE_TOPIC_ARN"), help="the topic of notices")
    parser.add_argument("--stack-file", type=Path, default=HERE.parent / ".local/stack.json", help="the local platform")
    parser.add_argument("--queue", default="notice-consumer", help="name of the queue to make or go on with")
    parser.add_argument("--filter", help='filter policy, as \'{"result": ["true"]}\'; set when the queue is subscribed')
    parser.add_argument("--out", type=Path, default=Path("out"), help="directory for the pictures")
    arguments = parser.parse_args()
    topic_arn = arguments.topic_arn
    if topic_arn is None:
        if not arguments.stack_file.is_file():
            sys.exit(f"No platform runs here ({arguments.stack_file} is not there). Start one: make up")
        stack = json.loads(arguments.stack_file.read_text(encoding="utf-8"))
        os.environ.update(stack["Environment"])
        topic_arn = stack["sdNotificationOutputArn"]
    try:
        url = subscribe(arguments.queue, topic_arn, arguments.filter)
        print(f"Listening on {url}; Ctrl-C ends it.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            consume(url, arguments.out)
    except (BotoCoreError, ClientError) as exc:
        sys.exit(f"AWS refused: {exc}")


def subscribe(name: str, topic_arn: str, filter_policy: str | None = None) -> str:
    """Make a queue that hears the topic and return its URL; what is there already stays as it is."""
    sqs = boto3.client("sqs")
    url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    attributes = {"FilterPolicy": filter_policy} if filter_policy else {}
    boto3.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    return url


def consume(queue_url: str, out: Path) -> None:
    """Handle notices forever. A message is deleted only when its pictures are saved; until then it comes again."""
    sqs = boto3.client("sqs")
    seen: set[str] = set()  # in an application: a table with a unique key, which outlives the process
    while True:
        answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        for message in answer.get("Messages", []):
            notice = json.loads(json.loads(message["Body"])["Message"])
            if notice["job"] not in seen:
                handle(notice, out)
                seen.add(notice["job"])
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def handle(notice: dict[str, Any], out: Path) -> None:
    """Save the pictures of a task that succeeded; say why one failed."""
    if not notice["result"]:
        print(f"{notice['id']} failed: {notice['error']['code']}: {notice['error']['message']}", flush=True)
        return
    out.mkdir(parents=True, exist_ok=True)
    # A list too long for a notice is left out of it; the manifest always has it.
    for link in notice["image_url"] or json.loads(read(notice["output_url"]))["image_url"]:
        path = out / Path(urlsplit(link).path).name
        path.write_bytes(read(link))
        print(f"{notice['id']} succeeded: {path}", flush=True)


def read(link: str) -> bytes:
    """Read an s3:// link."""
    place = urlsplit(link)
    body: bytes = boto3.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
    return body


if __name__ == "__main__":
    main()
