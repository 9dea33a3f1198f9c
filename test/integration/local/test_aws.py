"""What the local platform makes in AWS before its parts start."""

import json

import pytest

from contract.objects import TENANT_METADATA, tenant_label
from contract.queues import DEAD, RETURNED, Priority
from deploy.verify.samples import INPUT_KEY
from local.api_key import API_KEY_ID
from local.aws import OUTPUT_BUCKET, TASK_TOPIC_ARN
from runtimes.catalog import DeployedRuntime
from test.kit.aws import FakeAws

RUNTIMES = (
    DeployedRuntime(name="static", type="sdwebui", model_filename="base.safetensors"),
    DeployedRuntime(name="other", type="sdwebui", model_filename="other.safetensors"),
    DeployedRuntime(name="dynamic", type="sdwebui", dynamic_model=True),
    DeployedRuntime(name="comfy", type="comfyui"),
    DeployedRuntime(name="urgent", type="comfyui", has_priorities=True),
)


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory):
    aws = FakeAws(tmp_path_factory.mktemp("provisioned"), *RUNTIMES)
    yield aws
    aws.close()


def test_a_task_reaches_the_queue_of_its_runtime_and_no_other_in_its_sns_envelope(provisioned):
    for attributes, receiver in (
        ({"runtime": "static"}, "static"),
        ({"runtime": "elsewhere"}, None),
        ({}, None),
        # Foreign tasks name a checkpoint: the runtime that holds it gets them, or else the one that loads any.
        ({"sd_model_checkpoint": "other.safetensors"}, "other"),
        ({"sd_model_checkpoint": "new.safetensors"}, "dynamic"),
        # Without priorities one queue takes all; with them, what is neither high nor low is normal.
        ({"runtime": "comfy", "priority": "high"}, "comfy"),
        ({"runtime": "urgent"}, "urgent"),
        ({"runtime": "urgent", "priority": "mine"}, "urgent"),
        ({"runtime": "urgent", "priority": "high"}, "urgent-high"),
        ({"runtime": "urgent", "priority": "low"}, "urgent-low"),
    ):
        given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        provisioned.sns.publish(TopicArn=TASK_TOPIC_ARN, Message="{}", MessageGroupId="t", MessageAttributes=given)
        messages = {
            name: provisioned.take(provisioned.queue_url(name))
            for name in (f"{runtime.name}{one.suffix}" for runtime in RUNTIMES for one in runtime.priorities)
        }
        assert [name for name, taken in messages.items() if taken] == ([receiver] if receiver else []), attributes
        for envelope in (json.loads(message["Body"]) for message in messages.get(receiver, ())):
            assert (envelope["Type"], envelope["Message"]) == ("Notification", "{}")
            assert {name: one["Value"] for name, one in envelope["MessageAttributes"].items()} == attributes


def test_queues_have_the_deployed_timeouts_and_a_dead_queue_that_keeps_longer(provisioned):
    urls = (provisioned.queue_url(f"static{suffix}") for suffix in ("", RETURNED.suffix, DEAD.suffix))
    queue, returned, dead = (
        provisioned.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls
    )
    assert queue["VisibilityTimeout"] == "90"
    redrive, last = json.loads(queue["RedrivePolicy"]), json.loads(returned["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], last["deadLetterTargetArn"]) == (returned["QueueArn"], dead["QueueArn"])
    assert int(redrive["maxReceiveCount"]) == 100
    assert int(queue["MessageRetentionPeriod"]) < int(dead["MessageRetentionPeriod"]) == 14 * 24 * 3600


def test_each_priority_has_a_queue_that_returns_its_messages_to_the_runtimes_one_returned_queue(provisioned):
    for priority in Priority:
        url = provisioned.queue_url(f"urgent{priority.suffix}")
        found = provisioned.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        redrive = json.loads(found["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"] == provisioned.queue_arn(f"urgent{RETURNED.suffix}")
        assert found["VisibilityTimeout"] == "90"


def test_the_samples_input_belongs_to_the_one_api_key(provisioned):
    there = provisioned.s3.head_object(Bucket=OUTPUT_BUCKET, Key=INPUT_KEY)
    assert there["Metadata"] == {TENANT_METADATA: tenant_label(API_KEY_ID)}
