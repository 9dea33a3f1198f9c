"""The process that shows every notice as a line: ``python -m local.notices``. A subscriber like any other."""

import json
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from contract.notice import Notice
from contract.objects import split_s3_url
from jobs.schema import KEY
from local.aws import JOBS_TABLE, NOTICE_TOPIC_ARN

_QUEUE = "shown-notices"
_RETENTION_S = 3600
_WAIT_S = 20
_PAUSE_S = 1.0


def main() -> None:
    """Print what arrives until the process is ended; subscribe again when AWS was away."""
    once = Config(retries={"total_max_attempts": 1})
    sqs, sns, dynamodb = (boto3.client(name, config=once) for name in ("sqs", "sns", "dynamodb"))
    while True:
        try:
            _listen(sqs, _subscribe(sqs, sns), dynamodb)
        except (BotoCoreError, ClientError):
            # What is down says so in lines of its own.
            time.sleep(_PAUSE_S)


def _subscribe(sqs: Any, sns: Any) -> str:
    url = sqs.create_queue(QueueName=_QUEUE, Attributes={"MessageRetentionPeriod": str(_RETENTION_S)})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=NOTICE_TOPIC_ARN, Protocol="sqs", Endpoint=arn)
    return str(url)


def _listen(sqs: Any, url: str, dynamodb: Any) -> None:
    while True:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_S)
        for message in answer.get("Messages", []):
            # Deleted first: one that cannot be read ends this process, and must not do so again and again.
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            notice = Notice.model_validate_json(json.loads(message["Body"])["Message"])
            sys.stdout.write(notice_line(notice, _seconds(dynamodb, notice.job), sqs.meta.endpoint_url) + "\n")
            sys.stdout.flush()


def _seconds(dynamodb: Any, job: str | None) -> float | None:
    """From a job's request to its end; None where the table does not know it."""
    item = dynamodb.get_item(TableName=JOBS_TABLE, Key={KEY: {"S": job}}).get("Item", {}) if job else {}
    if "created_at" not in item or "ended_at" not in item:
        return None
    return float(item["ended_at"]["N"]) - float(item["created_at"]["N"])


def notice_line(notice: Notice, seconds: float | None, endpoint: str) -> str:
    """Write a notice as a line.

    Args:
        notice: The notice.
        seconds: What the task took, where that is known.
        endpoint: AWS's base URL.
    """
    took = "" if seconds is None else f"{seconds:.1f} s, "
    if notice.error is not None:
        return f"ERROR {notice.id}: {took}{notice.status}: {notice.error.code}: {notice.error.message}"
    # Links that a browser can follow: here, and only here, the output bucket is open to readers.
    links = ("/".join((endpoint, *split_s3_url(url))) for url in notice.image_url)
    return f"{notice.id}: {took}{' '.join(links) or notice.status}"


if __name__ == "__main__":
    main()
