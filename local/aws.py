"""The platform's resources in AWS: the names of bucket, topics and queues, and how to create them."""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3

from configuration.routing import subscription_filter
from contract.notice import WEBHOOK_ATTRIBUTE
from contract.queues import COURIER, DEAD, RETURNED, TASKS, Priority, QueueSettings
from deploy.verify.samples import upload_input
from jobs.schema import DEFINITION
from local.api_key import API_KEY_ID
from local.sandbox import ACCOUNT, REGION
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

OUTPUT_BUCKET = "sd-on-eks-output"
JOBS_TABLE = "sd-on-eks-jobs"
TASK_TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:tasks"
NOTICE_TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:notices"
STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
"""The jobs table's stream, for CreateTable."""
WITH_WEBHOOK = json.dumps({WEBHOOK_ATTRIBUTE: ["true"]})
"""The filter of the courier's subscription."""
COURIER_QUEUE = "_courier"
"""No runtime has such a name."""
SHOWN_QUEUE = {"QueueName": "_shown-notices", "Attributes": {"MessageRetentionPeriod": "3600"}}
"""The queue of the notices that are printed."""

_OPEN_TO_READERS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:HeadObject"],
            "Resource": f"arn:aws:s3:::{OUTPUT_BUCKET}/*",
        }
    ],
}
"""On this machine anybody may read pictures, so that links work without a signature; a deployed bucket is private.

S3 has no action HeadObject; moto asks for it."""


def dead_queue_name(runtime: str) -> str:
    """Name of a runtime's dead queue."""
    return f"{runtime}{DEAD.suffix}"


def returned_queue_name(runtime: str) -> str:
    """Name of a runtime's queue for messages that SQS has delivered too often, which the keeper reads."""
    return f"{runtime}{RETURNED.suffix}"


def queue_url(endpoint: str, name: str) -> str:
    """A queue's URL."""
    return f"{endpoint}/{ACCOUNT}/{name}"


def provision(endpoint: str, catalog: RuntimeCatalog, *, input_buckets: Iterable[str] = ()) -> None:
    """Create buckets, topics, the jobs table and each runtime's queues, with the subscription filters of a deployment.

    The output bucket starts with the input picture of the sample requests; tasks may also read ``input_buckets``.
    """
    session = boto3.Session(region_name=REGION)
    s3, sns, sqs, dynamodb = (session.client(name, endpoint_url=endpoint) for name in ("s3", "sns", "sqs", "dynamodb"))
    with ThreadPoolExecutor() as pool:
        # moto imports a service at its first call; in parallel that takes half the time.
        buckets = pool.map(lambda name: s3.create_bucket(Bucket=name), [OUTPUT_BUCKET, *input_buckets])
        table = pool.submit(dynamodb.create_table, TableName=JOBS_TABLE, **DEFINITION, **STREAM)
        queues = pool.map(partial(_make_runtime_queues, sqs), catalog)
        courier_queue = pool.submit(_make_queues, sqs, (DEAD, COURIER), COURIER_QUEUE)
        sqs.create_queue(**SHOWN_QUEUE)
        for topic in (TASK_TOPIC_ARN, NOTICE_TOPIC_ARN):
            sns.create_topic(Name=topic.rpartition(":")[2])
        list(buckets)
        table.result()
        policy = {"FilterPolicy": WITH_WEBHOOK}
        sns.subscribe(TopicArn=NOTICE_TOPIC_ARN, Protocol="sqs", Endpoint=courier_queue.result(), Attributes=policy)
        upload_input(s3, OUTPUT_BUCKET, API_KEY_ID)
        s3.put_bucket_policy(Bucket=OUTPUT_BUCKET, Policy=json.dumps(_OPEN_TO_READERS))
        for runtime, queue_arns in zip(catalog, queues, strict=True):
            for priority, queue_arn in queue_arns.items():
                policy = {"FilterPolicy": json.dumps(subscription_filter(runtime, catalog, priority))}
                sns.subscribe(TopicArn=TASK_TOPIC_ARN, Protocol="sqs", Endpoint=queue_arn, Attributes=policy)


def _make_runtime_queues(sqs: Any, runtime: DeployedRuntime) -> dict[Priority, str]:
    """Create a runtime's queues; return the ARNs of those that agents read."""
    returned = _make_queues(sqs, (DEAD, RETURNED), runtime.name)
    return {
        priority: _make_queues(sqs, (TASKS,), f"{runtime.name}{priority.suffix}", then=returned)
        for priority in runtime.priorities
    }


def _make_queues(sqs: Any, chain: Sequence[QueueSettings], base_name: str, *, then: str = "") -> str:
    """Create queues, each of which passes on to the one before it what it delivers too often.

    ``then`` is the ARN of a queue before the first. Returns the ARN of the last one.
    """
    arn = then
    for settings in chain:
        attributes = {
            "VisibilityTimeout": str(settings.visibility_s),
            "MessageRetentionPeriod": str(settings.retention_s),
        }
        if arn:
            redrive = {"deadLetterTargetArn": arn, "maxReceiveCount": settings.max_receives}
            attributes["RedrivePolicy"] = json.dumps(redrive)
        name = f"{base_name}{settings.suffix}"
        sqs.create_queue(QueueName=name, Attributes=attributes)
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    return arn
