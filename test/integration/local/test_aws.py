import json
from typing import Any

import pytest

from contract.objects import TENANT_METADATA, tenant_label
from deploy.verify.samples import INPUT_KEY
from local.aws import (
    JOBS_TABLE,
    NOTICE_TOPIC_ARN,
    OUTPUT_BUCKET,
    TASK_TOPIC_ARN,
    dead_queue_name,
    provision,
    returned_queue_name,
)
from local.proxy_event import API_KEY_ID
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from test.kit.aws import FakeAws

STATIC = DeployedRuntime(name="static", type="sdwebui", model_filename="base.safetensors")
OTHER = DeployedRuntime(name="other", type="sdwebui", model_filename="other.safetensors")
DYNAMIC = DeployedRuntime(name="dynamic", type="sdwebui", dynamic_model=True)
SECOND_DYNAMIC = DeployedRuntime(name="dynamic2", type="sdwebui", dynamic_model=True)
COMFY = DeployedRuntime(name="comfy", type="comfyui")


class Deployment:
    """A platform of some runtimes, and what a test asks of it."""

    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws
        self.catalog = RuntimeCatalog([])

    def deploy(self, *runtimes: DeployedRuntime, **options: Any) -> None:
        self.catalog = RuntimeCatalog(runtimes)
        provision(self.aws.url, self.catalog, **options)

    def receivers(self, attributes: dict[str, str]) -> set[str]:
        """Publish a task with these attributes; return the runtimes whose queue has it."""
        given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self.aws.sns.publish(TopicArn=TASK_TOPIC_ARN, Message="{}", MessageAttributes=given)
        return {name for name in self.catalog.names if self.aws.take(self.aws.queue_url(name))}

    def attributes(self, queue: str) -> dict[str, str]:
        url = self.aws.queue_url(queue)
        attributes: dict[str, str] = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
            "Attributes"
        ]
        return attributes


@pytest.fixture
def local(aws: FakeAws) -> Deployment:
    for subscription in aws.sns.list_subscriptions()["Subscriptions"]:
        aws.sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    aws.dynamodb.delete_table(TableName=JOBS_TABLE)
    return Deployment(aws)


ALL = (STATIC, OTHER, DYNAMIC, COMFY)


@pytest.mark.parametrize(
    ("runtimes", "attributes", "receivers"),
    [
        (ALL, {"runtime": "static"}, {"static"}),
        (ALL, {"runtime": "dynamic"}, {"dynamic"}),
        (ALL, {"runtime": "comfy"}, {"comfy"}),
        (ALL, {"runtime": "elsewhere"}, set()),
        (ALL, {}, set()),
        # Foreign tasks name a checkpoint: the runtime that holds it gets them, or else the one that loads any.
        (ALL, {"sd_model_checkpoint": "base.safetensors"}, {"static"}),
        (ALL, {"sd_model_checkpoint": "other.safetensors"}, {"other"}),
        (ALL, {"sd_model_checkpoint": "new.safetensors"}, {"dynamic"}),
        ((DYNAMIC,), {"sd_model_checkpoint": "anything.ckpt"}, {"dynamic"}),
        ((DYNAMIC, SECOND_DYNAMIC), {"sd_model_checkpoint": "new.safetensors"}, set()),
    ],
)
def test_a_task_reaches_the_queue_of_its_runtime_and_no_other(
    local: Deployment, runtimes: tuple[DeployedRuntime, ...], attributes: dict[str, str], receivers: set[str]
) -> None:
    local.deploy(*runtimes)
    assert local.receivers(attributes) == receivers


def test_a_task_arrives_in_its_sns_envelope_with_its_attributes(local: Deployment) -> None:
    local.deploy(STATIC)
    local.aws.sns.publish(
        TopicArn=TASK_TOPIC_ARN,
        Message='{"metadata": {}}',
        MessageGroupId="tenant",
        MessageAttributes={"runtime": {"DataType": "String", "StringValue": "static"}},
    )
    (message,) = local.aws.take(local.aws.queue_url("static"))
    envelope = json.loads(message["Body"])
    assert (envelope["Type"], envelope["Message"]) == ("Notification", '{"metadata": {}}')
    assert envelope["MessageAttributes"]["runtime"]["Value"] == "static"
    assert envelope["Timestamp"]
    assert envelope["MessageId"]


def test_queues_have_the_deployed_timeouts_and_a_dead_queue_that_keeps_longer(local: Deployment) -> None:
    local.deploy(STATIC)
    names = ("static", returned_queue_name("static"), dead_queue_name("static"))
    queue, returned, dead = (local.attributes(name) for name in names)
    assert queue["VisibilityTimeout"] == "90"
    redrive, last = json.loads(queue["RedrivePolicy"]), json.loads(returned["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], last["deadLetterTargetArn"]) == (returned["QueueArn"], dead["QueueArn"])
    assert int(redrive["maxReceiveCount"]) == 100
    assert int(dead["MessageRetentionPeriod"]) == 14 * 24 * 3600
    assert int(queue["MessageRetentionPeriod"]) < int(dead["MessageRetentionPeriod"])


def test_topics_buckets_and_the_samples_input_which_belongs_to_the_one_api_key_are_there(local: Deployment) -> None:
    local.deploy(STATIC, input_buckets=["pictures-of-others"])
    topics = {topic["TopicArn"] for topic in local.aws.sns.list_topics()["Topics"]}
    assert {TASK_TOPIC_ARN, NOTICE_TOPIC_ARN} <= topics
    buckets = {bucket["Name"] for bucket in local.aws.s3.list_buckets()["Buckets"]}
    assert {OUTPUT_BUCKET, "pictures-of-others"} <= buckets
    there = local.aws.s3.head_object(Bucket=OUTPUT_BUCKET, Key=INPUT_KEY)
    assert there["Metadata"] == {TENANT_METADATA: tenant_label(API_KEY_ID)}
