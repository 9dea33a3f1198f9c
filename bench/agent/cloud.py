"""The bench's own dealings with AWS: straight, without the wire."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import boto3

from bench.agent.tasks import TENANT
from contract.objects import TENANT_METADATA, tenant_label
from contract.task import RUNTIME_ATTRIBUTE
from local.aws import OUTPUT_BUCKET, TASK_TOPIC_ARN, queue_url
from local.sandbox import sandbox_environment

_MAX_DELETIONS = 1000


class Cloud:
    """Tasks go in, results come out.

    Args:
        endpoint: Where moto listens.
    """

    def __init__(self, endpoint: str) -> None:
        keys = sandbox_environment(endpoint)
        session = boto3.Session(
            keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], region_name=keys["AWS_REGION"]
        )
        self._endpoint = endpoint
        self._sqs, self._sns, self._s3 = (session.client(name, endpoint_url=endpoint) for name in ("sqs", "sns", "s3"))

    async def publish(self, runtime: str, message: str) -> float:
        """Submit a task as the front door does; gives the Unix time by which it lay in the queue."""
        attributes = {RUNTIME_ATTRIBUTE: {"DataType": "String", "StringValue": runtime}}
        await asyncio.to_thread(
            self._sns.publish, TopicArn=TASK_TOPIC_ARN, Message=message, MessageAttributes=attributes
        )
        return time.time()

    async def put_inputs(self, keys: Iterable[str], data: bytes) -> None:
        """Put the tenant's inputs into the output bucket."""
        whose = {TENANT_METADATA: tenant_label(TENANT)}
        for key in keys:
            await asyncio.to_thread(self._s3.put_object, Bucket=OUTPUT_BUCKET, Key=key, Body=data, Metadata=whose)

    async def is_done(self, runtime: str) -> bool:
        """Whether a runtime's queue holds nothing, neither waiting nor in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = queue_url(self._endpoint, runtime)
        answer: Any = await asyncio.to_thread(self._sqs.get_queue_attributes, QueueUrl=url, AttributeNames=names)
        return all(answer["Attributes"][name] == "0" for name in names)

    async def take_results(self) -> list[str]:
        """Remove all objects of the output bucket; gives their keys."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=OUTPUT_BUCKET)
        keys = await asyncio.to_thread(lambda: [entry["Key"] for page in pages for entry in page.get("Contents", ())])
        for at in range(0, len(keys), _MAX_DELETIONS):
            objects = [{"Key": key} for key in keys[at : at + _MAX_DELETIONS]]
            await asyncio.to_thread(self._s3.delete_objects, Bucket=OUTPUT_BUCKET, Delete={"Objects": objects})
        return keys
