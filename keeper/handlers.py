"""Lambda's composition root: clients are created once, when a function loads, and stay warm."""

import logging
import os
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.config import Config

from jobs.notifier import JobNotifier
from jobs.store import JobStore
from keeper.exhausted import ExhaustedMessages
from keeper.reaper import Reaper
from keeper.republisher import TaskRepublisher


def _make() -> tuple[ExhaustedMessages, Reaper]:
    logging.getLogger("keeper").setLevel(logging.INFO)
    session = botocore.session.get_session()
    config = Config(connect_timeout=3, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3})
    dynamodb, s3, sns, sqs = (session.create_client(name, config=config) for name in ("dynamodb", "s3", "sns", "sqs"))
    bucket = os.environ["OUTPUT_BUCKET"]
    jobs = JobStore(dynamodb, os.environ["JOBS_TABLE"])
    notifier = JobNotifier(sns=sns, topic_arn=os.environ["NOTICE_TOPIC_ARN"], jobs=jobs, bucket=bucket)
    prefix = os.environ.get("QUEUE_PREFIX", "")
    topic = os.environ["TASK_TOPIC_ARN"]
    tasks = TaskRepublisher(jobs=jobs, sns=sns, s3=s3, sqs=sqs, topic_arn=topic, bucket=bucket, queue_prefix=prefix)
    exhausted = ExhaustedMessages(jobs=jobs, notifier=notifier, sqs=sqs, queue_prefix=prefix)
    return exhausted, Reaper(jobs=jobs, notifier=notifier, tasks=tasks, start_s=float(os.environ["START_TIMEOUT_S"]))


_exhausted, _reaper = _make()


def exhausted_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Handle messages that SQS has delivered as often as it may; SQS delivers those that fail again."""
    return _exhausted.handle(event)


def reaper_handler(event: dict[str, Any], context: object) -> Mapping[str, int]:  # noqa: ARG001
    """Handle all due jobs; called once a minute."""
    return _reaper.run()
