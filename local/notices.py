"""The process that prints every notice as a line: ``python -m local.notices``. It is a subscriber like any other."""

import argparse
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
from local.aws import JOBS_TABLE, NOTICE_TOPIC_ARN, SHOWN_QUEUE

_WAIT_S = 20
_PAUSE_S = 1.0


def main() -> None:
    """Print notices until the process ends; subscribe again after AWS was away."""
    parser = argparse.ArgumentParser(prog="python -m local.notices")
    parser.add_argument("--s3", action="store_true", help="print s3:// links; no others lead to the bucket")
    is_s3 = parser.parse_args().s3
    once = Config(retries={"total_max_attempts": 1})
    sqs, sns, dynamodb = (boto3.client(name, config=once) for name in ("sqs", "sns", "dynamodb"))
    while True:
        try:
            _listen(sqs, _subscribe(sqs, sns), dynamodb, None if is_s3 else sqs.meta.endpoint_url)
        except (BotoCoreError, ClientError):
            # A part that is down has its own log lines.
            time.sleep(_PAUSE_S)


def _subscribe(sqs: Any, sns: Any) -> str:
    url = sqs.create_queue(**SHOWN_QUEUE)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=NOTICE_TOPIC_ARN, Protocol="sqs", Endpoint=arn)
    return str(url)


def _listen(sqs: Any, url: str, dynamodb: Any, endpoint: str | None) -> None:
    while True:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_S)
        for message in answer.get("Messages", []):
            # Deleted first: a message that cannot be read ends this process, and must not do so repeatedly.
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            notice = Notice.model_validate_json(json.loads(message["Body"])["Message"])
            sys.stdout.write(_line(notice, dynamodb, endpoint) + "\n")
            sys.stdout.flush()


def _line(notice: Notice, dynamodb: Any, endpoint: str | None) -> str:
    """A notice as a line, with the seconds from request to end if the table has its job.

    Its links are for browsers, if the bucket is open to them at ``endpoint``.
    """
    key = {KEY: {"S": notice.job}}
    job = dynamodb.get_item(TableName=JOBS_TABLE, Key=key).get("Item", {}) if notice.job else {}
    took = ""
    if "created_at" in job and "ended_at" in job:
        took = f"{float(job['ended_at']['N']) - float(job['created_at']['N']):.1f} s, "
    if notice.error is not None:
        return f"ERROR {notice.id}: {took}{notice.status}: {notice.error.code}: {notice.error.message}"
    links = (url if endpoint is None else "/".join((endpoint, *split_s3_url(url))) for url in notice.image_url)
    return f"{notice.id}: {took}{' '.join(links) or notice.status}"


if __name__ == "__main__":
    main()
