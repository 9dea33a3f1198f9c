"""The process that shows every notice as a line: ``python -m local.notices``. A subscriber like any other."""

import json
import sys

import boto3

from contract.notice import Notice
from contract.objects import split_s3_url
from local.aws import NOTICE_TOPIC_ARN

_QUEUE = "shown-notices"
_RETENTION_S = 3600
_WAIT_S = 20


def main() -> None:
    """Subscribe a queue and print what arrives, until the process is ended."""
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url = sqs.create_queue(QueueName=_QUEUE, Attributes={"MessageRetentionPeriod": str(_RETENTION_S)})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=NOTICE_TOPIC_ARN, Protocol="sqs", Endpoint=arn)
    while True:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_S)
        for message in answer.get("Messages", []):
            # Deleted first: one that cannot be read ends this process, and must not do so again and again.
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            notice = Notice.model_validate_json(json.loads(message["Body"])["Message"])
            sys.stdout.write(_line(notice, sqs.meta.endpoint_url) + "\n")
            sys.stdout.flush()


def _line(notice: Notice, endpoint: str) -> str:
    if notice.error is not None:
        return f"{notice.id} {notice.status}: {notice.error.code}: {notice.error.message}"
    # Links that a browser can follow: here, and only here, the output bucket is open to readers.
    links = ("/".join((endpoint, *split_s3_url(url))) for url in notice.image_url)
    return f"{notice.id} {notice.status}: {' '.join(links)}"


if __name__ == "__main__":
    main()
