"""Lambda's composition root: clients are created once, when a function loads, and stay warm."""

import logging
import os
import time
from typing import Any

import botocore.session
from botocore.config import Config

from courier.batches import handle_changes, handle_messages
from courier.courier import Courier
from courier.queue import DeliveryQueue
from courier.secrets import WebhookSecrets
from courier.sender import WebhookSender
from jobs.store import JobStore

_MAX_CONNECTIONS = 64
"""The number of messages that the courier handles at once when it runs as a process."""


def _make() -> tuple[Courier, DeliveryQueue]:
    logging.getLogger("courier").setLevel(logging.INFO)
    session = botocore.session.get_session()
    retries = {"mode": "standard", "total_max_attempts": 3}
    config = Config(connect_timeout=3, read_timeout=8, retries=retries, max_pool_connections=_MAX_CONNECTIONS)

    def client(service: str) -> Any:
        return session.create_client(service, config=config)

    root = os.environ.get("SIGNING_SECRET") or str(
        client("secretsmanager").get_secret_value(SecretId=os.environ["SIGNING_SECRET_ARN"])["SecretString"]
    )
    jobs = JobStore(client("dynamodb"), os.environ["JOBS_TABLE"])
    queue = DeliveryQueue(
        sqs=client("sqs"), url=os.environ["COURIER_QUEUE_URL"], dead_url=os.environ["COURIER_DEAD_QUEUE_URL"]
    )
    courier = Courier(
        jobs=jobs,
        secrets=WebhookSecrets(jobs=jobs, root=root),
        queue=queue,
        sender=WebhookSender(allow_private=os.environ.get("ALLOW_PRIVATE_ADDRESSES") == "true"),
        bucket=os.environ["OUTPUT_BUCKET"],
        root=root,
    )
    return courier, queue


_courier, _queue = _make()


def queue_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Handle deliveries and notices from the courier's queue. SQS redelivers those that fail."""
    return handle_messages(_courier, event)


def stream_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Handle records of the jobs table's stream. Lambda repeats them from the first that failed."""
    return handle_changes(_queue, event, time.time())
