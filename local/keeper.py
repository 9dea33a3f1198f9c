"""The process that is the keeper's two Lambdas and their callers: ``python -m local.keeper``.

It passes exhausted messages as SQS's event source does, and runs the reaper as the schedule does, but more often.
"""

import argparse
import logging
import re
import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from keeper.handlers import exhausted_handler, reaper_handler
from local.aws import queue_url, returned_queue_name
from local.sandbox import ACCOUNT, REGION
from runtimes.catalog import RuntimeCatalog

_REAP_EVERY_S = 5.0
_POLL_S = 1
_PAUSE_S = 1.0
_IDLE = re.compile(r'\{"event":"reaped"(,"\w+":0)*\}')

logger = logging.getLogger(__name__)


def main() -> None:
    """Call the handlers until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m local.keeper")
    parser.add_argument("--runtimes", type=Path, required=True, help="runtimes.json")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s")
    # No line about a round in which the reaper did nothing.
    logging.getLogger().handlers[0].addFilter(lambda record: not _IDLE.fullmatch(record.getMessage()))
    catalog = RuntimeCatalog.from_json(arguments.runtimes.read_text(encoding="utf-8"))
    sqs = boto3.client("sqs", config=Config(retries={"total_max_attempts": 1}))
    next_reap_s = time.monotonic() + _REAP_EVERY_S
    answers = True
    while True:
        try:
            for runtime in catalog.names:
                _poll(sqs, returned_queue_name(runtime))
            if time.monotonic() >= next_reap_s:
                next_reap_s = time.monotonic() + _REAP_EVERY_S
                reaper_handler({}, None)
            answers = True
        except (BotoCoreError, ClientError) as exc:
            if answers:
                logger.warning("AWS does not answer: %s", exc)
            answers = False
            time.sleep(_PAUSE_S)


def _poll(sqs: Any, queue: str) -> None:
    """Pass a queue's messages as Lambda's event, and delete those that were handled."""
    url = queue_url(sqs.meta.endpoint_url, queue)
    names = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=_POLL_S, **names)
    messages = answer.get("Messages", [])
    if not messages:
        return
    records = [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": message.get("MessageAttributes", {}),
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
            "awsRegion": REGION,
        }
        for message in messages
    ]
    result = exhausted_handler({"Records": records}, None)
    failed = {failure["itemIdentifier"] for failure in result["batchItemFailures"]}
    for message in messages:
        if message["MessageId"] not in failed:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    main()
