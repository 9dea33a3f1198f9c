import json
from typing import Any

import boto3
import pytest

from configuration.config import parse_config
from contract.objects import TENANT_METADATA, tenant_label
from deploy.verify.samples import INPUT_KEY
from local.aws import (
    JOBS_TABLE,
    NOTICE_TOPIC_ARN,
    OUTPUT_BUCKET,
    TASK_TOPIC_ARN,
    dead_queue_name,
    provision,
    queue_url,
    returned_queue_name,
)
from local.proxy_event import API_KEY_ID
from local.sandbox import REGION
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

STATIC = DeployedRuntime(name="static", type="sdwebui", model_filename="base.safetensors")
OTHER = DeployedRuntime(name="other", type="sdwebui", model_filename="other.safetensors")
DYNAMIC = DeployedRuntime(name="dynamic", type="sdwebui", dynamic_model=True)
SECOND_DYNAMIC = DeployedRuntime(name="dynamic2", type="sdwebui", dynamic_model=True)
COMFY = DeployedRuntime(name="comfy", type="comfyui")


class Aws:
    """AWS as the local platform has it, and what a test asks of it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.catalog = RuntimeCatalog([])

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def deploy(self, *runtimes: DeployedRuntime, **options: Any) -> None:
        self.catalog = RuntimeCatalog(runtimes)
        provision(self.endpoint, self.catalog, **options)

    def receivers(self, attributes: dict[str, str]) -> set[str]:
        """Publish a task with these attributes; return the runtimes whose queue has it."""
        self.client("sns").publish(
            TopicArn=TASK_TOPIC_ARN,
            Message="{}",
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )
        return {name for name in self.catalog.names if self.receive(name)}

    def receive(self, queue: str) -> list[dict[str, Any]]:
        answer = self.client("sqs").receive_message(QueueUrl=queue_url(self.endpoint, queue), WaitTimeSeconds=0)
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    def attributes(self, queue: str) -> dict[str, str]:
        answer = self.client("sqs").get_queue_attributes(
            QueueUrl=queue_url(self.endpoint, queue), AttributeNames=["All"]
        )
        attributes: dict[str, str] = answer["Attributes"]
        return attributes


@pytest.fixture
def aws(aws_endpoint: str) -> Aws:
    aws = Aws(aws_endpoint)
    sns = aws.client("sns")
    for subscription in sns.list_subscriptions()["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    dynamodb = aws.client("dynamodb")
    if JOBS_TABLE in dynamodb.list_tables()["TableNames"]:
        dynamodb.delete_table(TableName=JOBS_TABLE)
    return aws


def test_a_task_reaches_the_queue_of_the_runtime_it_names_and_no_other(aws: Aws) -> None:
    aws.deploy(STATIC, DYNAMIC, COMFY)
    for runtime in (STATIC, DYNAMIC, COMFY):
        assert aws.receivers({"runtime": runtime.name}) == {runtime.name}


def test_a_task_for_an_unknown_runtime_reaches_no_queue(aws: Aws) -> None:
    aws.deploy(STATIC, DYNAMIC, COMFY)
    assert aws.receivers({"runtime": "elsewhere"}) == set()
    assert aws.receivers({}) == set()


def test_a_foreign_task_reaches_the_static_runtime_that_holds_its_checkpoint(aws: Aws) -> None:
    aws.deploy(STATIC, OTHER, DYNAMIC, COMFY)
    assert aws.receivers({"sd_model_checkpoint": "base.safetensors"}) == {"static"}
    assert aws.receivers({"sd_model_checkpoint": "other.safetensors"}) == {"other"}


def test_a_foreign_task_with_any_other_checkpoint_reaches_the_one_dynamic_runtime(aws: Aws) -> None:
    aws.deploy(STATIC, OTHER, DYNAMIC, COMFY)
    assert aws.receivers({"sd_model_checkpoint": "new.safetensors"}) == {"dynamic"}


def test_a_lone_dynamic_runtime_takes_every_checkpoint(aws: Aws) -> None:
    aws.deploy(DYNAMIC)
    assert aws.receivers({"sd_model_checkpoint": "anything.ckpt"}) == {"dynamic"}


def test_two_dynamic_runtimes_take_no_foreign_checkpoint(aws: Aws) -> None:
    aws.deploy(DYNAMIC, SECOND_DYNAMIC)
    assert aws.receivers({"sd_model_checkpoint": "new.safetensors"}) == set()


def test_a_task_arrives_in_its_sns_envelope_with_its_attributes(aws: Aws) -> None:
    aws.deploy(STATIC)
    aws.client("sns").publish(
        TopicArn=TASK_TOPIC_ARN,
        Message='{"metadata": {}}',
        MessageGroupId="tenant",
        MessageAttributes={"runtime": {"DataType": "String", "StringValue": "static"}},
    )
    envelope = json.loads(aws.receive("static")[0]["Body"])
    assert envelope["Type"] == "Notification"
    assert envelope["Message"] == '{"metadata": {}}'
    assert envelope["MessageAttributes"]["runtime"]["Value"] == "static"
    assert envelope["Timestamp"]
    assert envelope["MessageId"]


def test_queues_have_the_deployed_timeouts_and_a_dead_queue_that_keeps_longer(aws: Aws) -> None:
    aws.deploy(STATIC)
    names = ("static", returned_queue_name("static"), dead_queue_name("static"))
    queue, returned, dead = (aws.attributes(name) for name in names)
    assert queue["VisibilityTimeout"] == "90"
    redrive, last = json.loads(queue["RedrivePolicy"]), json.loads(returned["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], last["deadLetterTargetArn"]) == (returned["QueueArn"], dead["QueueArn"])
    assert int(redrive["maxReceiveCount"]) == 100
    assert int(dead["MessageRetentionPeriod"]) == 14 * 24 * 3600
    assert int(queue["MessageRetentionPeriod"]) < int(dead["MessageRetentionPeriod"])


def test_both_topics_and_all_buckets_are_there(aws: Aws) -> None:
    aws.deploy(STATIC, input_buckets=["pictures-of-others"])
    topics = {topic["TopicArn"] for topic in aws.client("sns").list_topics()["Topics"]}
    assert {TASK_TOPIC_ARN, NOTICE_TOPIC_ARN} <= topics
    buckets = {bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]}
    assert {OUTPUT_BUCKET, "pictures-of-others"} <= buckets


def test_the_samples_input_is_there_and_belongs_to_the_one_api_key(aws: Aws) -> None:
    aws.deploy(STATIC)
    there = aws.client("s3").head_object(Bucket=OUTPUT_BUCKET, Key=INPUT_KEY)
    assert there["Metadata"] == {TENANT_METADATA: tenant_label(API_KEY_ID)}


def test_the_sample_configuration_can_be_deployed(aws: Aws) -> None:
    config = parse_config(
        {
            "stackName": "sdoneks",
            "modelBucketArn": "arn:aws:s3:::models",
            "modelsRuntime": [
                {"name": "a", "namespace": "a", "type": "sdwebui", "modelFilename": "a.safetensors"},
                {"name": "b", "namespace": "b", "type": "comfyui"},
            ],
        }
    )
    aws.deploy(*config.catalog)
    assert aws.receivers({"runtime": "b"}) == {"b"}
