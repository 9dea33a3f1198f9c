"""The synthesized template, deployed as it is: messages find their way by the template's own filters."""

import json
import re

import pytest
from cfnlint.api import lint_all
from infrakit.cloudformation import INERT
from infrakit.parts import TENANT, Door, Queues
from infrakit.platform import KEY_ARN, config_of
from infrakit.policies import allowed, statements

from configuration.key_policy import service_statements
from contract.ids import new_job_id
from contract.task import Task
from local.sandbox import ACCOUNT, REGION

CONFIG = config_of()
PROMPT = {"prompt": "a cat"}
FROM_CDK = "W3005"
"""Lambda functions depend twice on their role: CDK writes both."""


@pytest.fixture(scope="module")
def door(deployed, tmp_path_factory):
    return Door(deployed, CONFIG, tmp_path_factory.mktemp("door"))


@pytest.fixture(scope="module")
def queues(deployed):
    return Queues(deployed, CONFIG)


def publish(deployed, body, **attributes):
    """Publish as a foreign producer does."""
    named = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    topic = deployed.id_of("TasksTopic")
    deployed.cloud.client("sns").publish(TopicArn=topic, Message=body, MessageAttributes=named)


def test_cfn_lint_finds_nothing(platform_template, keyed_template):
    for template in (platform_template, keyed_template):
        found = [one for one in lint_all(json.dumps(template)) if one.rule.severity != "informational"]
        assert [one for one in found if one.rule.id != FROM_CDK] == []


def test_every_resource_of_the_template_was_made(platform_template, deployed):
    assert set(deployed.resources) == set(platform_template["Resources"])
    idle = {kind for kind, _ in deployed.resources.values()} & set(INERT)
    assert idle == set(INERT)  # none is listed in vain


@pytest.mark.parametrize(
    ("runtime", "tasktype", "content"),
    [
        ("static", "text-to-image", PROMPT),
        ("dyn-1", "text-to-image", PROMPT | {"alwayson_scripts": {"sd_model_checkpoint": "any.safetensors"}}),
        ("comfy", "pipeline", {"1": {"class_type": "SaveImage", "inputs": {}}}),
    ],
)
def test_what_the_door_accepts_arrives_in_the_queue_of_its_runtime_alone(door, queues, runtime, tasktype, content):
    job = door.submit(runtime, tasktype, content)
    held = queues.holders()
    assert set(held) == {runtime}
    [envelope] = [json.loads(body) for body in held[runtime]]
    assert Task.model_validate_json(envelope["Message"]).metadata.job == job


def test_an_older_request_arrives_where_its_checkpoint_is_served(door, queues):
    scripts = {"task": "text-to-image", "sd_model_checkpoint": "base.safetensors", "id_task": "t", "save_dir": "output"}
    status, answer = door.post({"alwayson_scripts": scripts, **PROMPT}, path="/v1alpha1")
    assert status == 200, answer
    assert set(queues.holders()) == {"static"}


def test_the_door_refuses_a_disabled_runtime_and_nothing_arrives(door, queues):
    metadata = {"id": "t", "runtime": "old", "tasktype": "text-to-image"}
    status, answer = door.post({"task": {"metadata": metadata, "content": PROMPT}})
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert queues.holders() == {}


@pytest.mark.parametrize(
    ("attributes", "receiver"),
    [
        ({"runtime": "static"}, "static"),
        ({"runtime": "legacy", "sd_model_checkpoint": "base.safetensors"}, "static"),
        ({"sd_model_checkpoint": "base.safetensors"}, "static"),
        ({"sd_model_checkpoint": "new.safetensors"}, "dyn-1"),
        ({"sd_model_checkpoint": "old.safetensors"}, "dyn-1"),
        ({"runtime": "old"}, None),
        ({"runtime": "elsewhere"}, None),
        ({}, None),
    ],
)
def test_a_foreign_message_arrives_where_its_attributes_lead(deployed, queues, attributes, receiver):
    publish(deployed, "{}", **attributes)
    assert set(queues.holders()) == ({receiver} if receiver else set())


def test_a_tasks_publication_passes_as_it_is_with_the_tenant_as_its_group(deployed, queues):
    metadata = {"id": "t", "runtime": "comfy", "tasktype": "pipeline", "job": new_job_id(), "tenant": TENANT}
    task = Task.model_validate({"metadata": metadata, "content": {}})
    publication = task.publication(deployed.id_of("TasksTopic"))
    assert publication["MessageGroupId"] == TENANT
    deployed.cloud.client("sns").publish(**publication)
    [body] = queues.take("comfy")
    assert json.loads(body)["Message"] == task.to_message()


def test_a_queue_hands_what_is_delivered_too_often_on_to_the_keepers(deployed, queues):
    sqs = deployed.cloud.client("sqs")
    answer = sqs.get_queue_attributes(QueueUrl=queues.url("static"), AttributeNames=["RedrivePolicy"])
    redrive = json.loads(answer["Attributes"]["RedrivePolicy"])
    assert redrive == {"deadLetterTargetArn": queues.arn("static", "-returned"), "maxReceiveCount": 100}


def test_a_queue_lets_its_topic_in_before_it_is_subscribed(platform_template):
    resources = platform_template["Resources"]
    for subscription in [one for one in resources.values() if one["Type"] == "AWS::SNS::Subscription"]:
        policies = [resources[name] for name in subscription["DependsOn"]]
        queue = subscription["Properties"]["Endpoint"]["Fn::GetAtt"][0]
        assert [one["Properties"]["Queues"] for one in policies] == [[{"Ref": queue}]]


WRITTEN_DOWN = re.compile(r"arn:aws|\bamazonaws\b|\b[a-z]{2}(-gov)?-(north|south|east|west|central)[a-z]*-\d")


def test_the_template_names_no_partition_no_domain_and_no_region(platform_template):
    text = json.dumps(platform_template)
    for arn in CONFIG.input_bucket_arns:
        text = text.replace(arn, "the operator's own")
    # Services have the same names in all partitions.
    text = re.sub(r'(Service|Principal)\\?": ?\\?"[a-z.]+\.amazonaws\.com', "", text)
    assert [text[max(0, found.start() - 40) : found.end() + 20] for found in WRITTEN_DOWN.finditer(text)] == []


def subscribed(deployed):
    """Queue and topic of each subscription."""
    listed = deployed.cloud.client("sns").list_subscriptions()["Subscriptions"]
    return [(one["Endpoint"], one["TopicArn"]) for one in listed]


def queue_policy(deployed, arn):
    url = f"{deployed.cloud.endpoint}/{ACCOUNT}/{arn.rpartition(':')[2]}"
    answer = deployed.cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    return statements(json.loads(answer["Attributes"]["Policy"]))


SNS = {"Service": "sns.amazonaws.com"}


def test_each_subscribed_queue_takes_the_messages_of_its_topic(deployed):
    assert len(subscribed(deployed)) == len(CONFIG.enabled_runtimes)
    for queue, topic in subscribed(deployed):
        context = {"aws:SourceArn": topic, "aws:SecureTransport": "true"}
        assert allowed(queue_policy(deployed, queue), "sqs:SendMessage", queue, principal=SNS, context=context)


@pytest.mark.parametrize(
    ("action", "principal", "source"),
    [
        ("sqs:SendMessage", SNS, "NoticesTopic"),
        ("sqs:SendMessage", {"Service": "s3.amazonaws.com"}, "TasksTopic"),
        ("sqs:SendMessage", {"AWS": "arn:aws:iam::999999999999:root"}, "TasksTopic"),
        ("sqs:ReceiveMessage", SNS, "TasksTopic"),
    ],
)
def test_no_queue_is_open_to_anything_else(deployed, action, principal, source):
    context = {"aws:SourceArn": deployed.id_of(source), "aws:SecureTransport": "true"}
    for queue, _ in subscribed(deployed):
        assert not allowed(queue_policy(deployed, queue), action, queue, principal=principal, context=context)


def everything(document):
    """A resource's policy together with a role that may do all: what is left is what the resource itself denies."""
    return statements(document, {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


@pytest.mark.parametrize("suffix", ["", "-returned", "-dead"])
def test_no_queue_takes_anything_that_was_not_encrypted_on_its_way(deployed, queues, suffix):
    sqs = deployed.cloud.client("sqs")
    for runtime in CONFIG.models_runtime:
        url, arn = queues.url(runtime.name, suffix), queues.arn(runtime.name, suffix)
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        policy = everything(json.loads(answer["Attributes"]["Policy"]))
        assert not allowed(policy, "sqs:SendMessage", arn, context={"aws:SecureTransport": "false"})
        assert allowed(policy, "sqs:SendMessage", arn, context={"aws:SecureTransport": "true"})


@pytest.mark.parametrize("topic", ["TasksTopic", "NoticesTopic"])
def test_a_topic_is_open_to_roles_of_its_account_and_to_nobody_else(deployed, topic):
    arn = deployed.id_of(topic)
    attributes = deployed.cloud.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    document = json.loads(attributes["Policy"])
    assert not [one for one in statements(document) if one.allows]
    assert not allowed(everything(document), "sns:Publish", arn, context={"aws:SecureTransport": "false"})
    assert allowed(everything(document), "sns:Publish", arn, context={"aws:SecureTransport": "true"})


STRANGER = "999999999999"


@pytest.fixture(scope="module")
def key_policy():
    place = {"partition": "aws", "url_suffix": "amazonaws.com", "region": REGION, "account": ACCOUNT}
    return statements({"Statement": service_statements(**place)})


@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:GenerateDataKey"])
@pytest.mark.parametrize("service", ["sns", "cloudwatch"])
def test_the_policy_asked_of_the_operators_key_lets_topics_deliver_within_the_account(key_policy, action, service):
    principal = {"Service": f"{service}.amazonaws.com"}
    for account, granted in ((ACCOUNT, True), (STRANGER, False)):
        context = {"aws:SourceAccount": account}
        assert allowed(key_policy, action, "key", principal=principal, context=context) is granted


def test_the_policy_asked_of_the_operators_key_lets_the_regions_log_groups_be_written(key_policy):
    principal = {"Service": f"logs.{REGION}.amazonaws.com"}
    for account, granted in ((ACCOUNT, True), (STRANGER, False)):
        arn = f"arn:aws:logs:{REGION}:{account}:log-group:any"
        context = {"kms:EncryptionContext:aws:logs:arn": arn}
        assert allowed(key_policy, "kms:GenerateDataKey", "key", principal=principal, context=context) is granted


def test_the_operators_key_encrypts_whatever_keeps_something(keyed_template):
    fields = {
        "AWS::DynamoDB::Table": ("SSESpecification", "KMSMasterKeyId"),
        "AWS::Logs::LogGroup": ("KmsKeyId",),
        "AWS::SNS::Topic": ("KmsMasterKeyId",),
        "AWS::SQS::Queue": ("KmsMasterKeyId",),
    }
    for one in keyed_template["Resources"].values():
        found = one.get("Properties", {})
        for field in fields.get(one["Type"], ()):
            found = found[field]
        assert one["Type"] not in fields or found == KEY_ARN
