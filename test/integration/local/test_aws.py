import json

import pytest

from contract.objects import TENANT_METADATA, tenant_label
from deploy.verify.samples import INPUT_KEY
from local.aws import (
    JOBS_TABLE,
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


ALL = (STATIC, OTHER, DYNAMIC, COMFY)


@pytest.fixture
def empty_aws(aws: FakeAws) -> FakeAws:
    for subscription in aws.sns.list_subscriptions()["Subscriptions"]:
        aws.sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    aws.dynamodb.delete_table(TableName=JOBS_TABLE)
    return aws


@pytest.mark.parametrize(
    ("runtimes", "attributes", "receivers"),
    [
        (ALL, {"runtime": "static"}, {"static"}),
        (ALL, {"runtime": "elsewhere"}, set()),
        (ALL, {}, set()),
        # Foreign tasks name a checkpoint: the runtime that holds it gets them, or else the one that loads any.
        (ALL, {"sd_model_checkpoint": "other.safetensors"}, {"other"}),
        (ALL, {"sd_model_checkpoint": "new.safetensors"}, {"dynamic"}),
        ((DYNAMIC, SECOND_DYNAMIC), {"sd_model_checkpoint": "new.safetensors"}, set()),
    ],
)
def test_a_task_reaches_the_queue_of_its_runtime_and_no_other_in_its_sns_envelope(
    empty_aws: FakeAws, runtimes: tuple[DeployedRuntime, ...], attributes: dict[str, str], receivers: set[str]
) -> None:
    provision(empty_aws.url, RuntimeCatalog(runtimes))
    given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    empty_aws.sns.publish(TopicArn=TASK_TOPIC_ARN, Message="{}", MessageGroupId="tenant", MessageAttributes=given)
    queues = {runtime.name: empty_aws.take(empty_aws.queue_url(runtime.name)) for runtime in runtimes}
    assert {name for name, messages in queues.items() if messages} == receivers
    for name in receivers:
        envelope = json.loads(queues[name][0]["Body"])
        assert (envelope["Type"], envelope["Message"]) == ("Notification", "{}")
        assert {name: one["Value"] for name, one in envelope["MessageAttributes"].items()} == attributes


def test_queues_have_the_deployed_timeouts_and_a_dead_queue_that_keeps_longer(empty_aws: FakeAws) -> None:
    provision(empty_aws.url, RuntimeCatalog([STATIC]))
    names = ("static", returned_queue_name("static"), dead_queue_name("static"))
    urls = (empty_aws.queue_url(name) for name in names)
    queue, returned, dead = (
        empty_aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls
    )
    assert queue["VisibilityTimeout"] == "90"
    redrive, last = json.loads(queue["RedrivePolicy"]), json.loads(returned["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], last["deadLetterTargetArn"]) == (returned["QueueArn"], dead["QueueArn"])
    assert int(redrive["maxReceiveCount"]) == 100
    assert int(queue["MessageRetentionPeriod"]) < int(dead["MessageRetentionPeriod"]) == 14 * 24 * 3600


def test_buckets_and_the_samples_input_which_belongs_to_the_one_api_key_are_there(empty_aws: FakeAws) -> None:
    provision(empty_aws.url, RuntimeCatalog([STATIC]), input_buckets=["pictures-of-others"])
    buckets = {bucket["Name"] for bucket in empty_aws.s3.list_buckets()["Buckets"]}
    assert {OUTPUT_BUCKET, "pictures-of-others"} <= buckets
    there = empty_aws.s3.head_object(Bucket=OUTPUT_BUCKET, Key=INPUT_KEY)
    assert there["Metadata"] == {TENANT_METADATA: tenant_label(API_KEY_ID)}
