"""Lambda's composition root: clients are made once, when a function is loaded, and kept warm."""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.config import Config

from keeper.dead_queues import DeadQueues
from keeper.jobs import Jobs
from keeper.notices import Notices
from keeper.reaper import Reaper
from keeper.returned import ReturnedMessages
from keeper.task_topic import TaskTopic


def _make() -> tuple[ReturnedMessages, Reaper]:
    logging.getLogger("keeper").setLevel(logging.INFO)
    session = botocore.session.get_session()
    config = Config(connect_timeout=3, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3})
    dynamodb, s3, sns, sqs = (session.create_client(name, config=config) for name in ("dynamodb", "s3", "sns", "sqs"))
    bucket = os.environ["OUTPUT_BUCKET"]
    jobs = Jobs(dynamodb, os.environ["JOBS_TABLE"], time.time)
    notices = Notices(sns=sns, topic_arn=os.environ["NOTICE_TOPIC_ARN"], jobs=jobs, bucket=bucket)
    tasks = TaskTopic(sns=sns, s3=s3, topic_arn=os.environ["TASK_TOPIC_ARN"], bucket=bucket)
    returned = ReturnedMessages(
        jobs=jobs, notices=notices, dead_queues=DeadQueues(sqs), queue_prefix=os.environ.get("QUEUE_PREFIX", "")
    )
    return returned, Reaper(jobs=jobs, notices=notices, tasks=tasks, start_s=float(os.environ["START_TIMEOUT_S"]))


_returned, _reaper = _make()


def returned_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Handle messages of queues of returned messages; what could not be handled is delivered again."""
    return _returned.handle(event)


def reaper_handler(event: dict[str, Any], context: object) -> Mapping[str, int]:  # noqa: ARG001
    """Look at the jobs that are due; to be called once a minute."""
    return _reaper.run()
