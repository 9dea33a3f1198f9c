"""Topics and queues: messages reach the queue that they are for, and nothing else does."""

import json
import re

import pytest
from infrakit.parts import Door
from infrakit.policies import allowed, denies
from infrakit.stacks import config_of, example, listed

from configuration.key_policy import service_statements
from configuration.routing import subscription_filter
from contract.queues import DEAD, RETURNED, TASKS, Priority
from contract.task import Task
from local.sandbox import ACCOUNT, REGION

CONFIG = config_of()
IDS = {"static": "static", "dyn-1": "dynDash1", "comfy": "comfy", "old": "old"}
PROMPT = {"prompt": "a cat"}
SNS = {"Service": "sns.amazonaws.com"}


@pytest.mark.parametrize("runtime", IDS)
@pytest.mark.parametrize(("kind", "settings"), [("", TASKS), ("Returned", RETURNED), ("Dead", DEAD)])
def test_every_queue_is_named_and_timed_as_the_contract_says(stack, runtime, kind, settings):
    # The logical id must stay as it is, or the queue is replaced.
    queue = stack.properties("AWS::SQS::Queue")[f"{kind}Queue{IDS[runtime]}"]
    assert queue["QueueName"] == CONFIG.queue_name(runtime) + settings.suffix
    assert queue["VisibilityTimeout"] == settings.visibility_s
    assert queue["MessageRetentionPeriod"] == settings.retention_s
    following = {"": "Returned", "Returned": "Dead", "Dead": None}[kind]
    redrive = following and {
        "deadLetterTargetArn": f"${{{following}Queue{IDS[runtime]}.Arn}}",
        "maxReceiveCount": settings.max_receives,
    }
    assert queue.get("RedrivePolicy") == redrive


def test_each_runtime_that_takes_tasks_is_subscribed_by_its_own_filter_and_a_disabled_one_is_not(stack):
    found = stack.properties("AWS::SNS::Subscription").values()
    subscriptions = [one for one in found if one["TopicArn"] == "${TasksTopic}"]
    filters = {one["Endpoint"]: one["FilterPolicy"] for one in subscriptions}
    assert filters == {
        f"${{Queue{IDS[one.name]}.Arn}}": subscription_filter(one, CONFIG.catalog) for one in CONFIG.catalog
    }
    [courier] = [one for one in found if one["TopicArn"] == "${NoticesTopic}"]
    assert courier["Endpoint"].startswith("${TasksCourierQueue")
    assert not any(one.get("RawMessageDelivery") for one in subscriptions)


@pytest.fixture
def taken(deployed):
    """Gives what all runtimes' own queues hold, by runtime; they are empty then."""

    def take():
        held = {runtime.name: deployed.take(runtime.name) for runtime in CONFIG.models_runtime}
        return {name: bodies for name, bodies in held.items() if bodies}

    return take


@pytest.mark.parametrize(
    "task",
    [
        ("static", "text-to-image", PROMPT),
        ("dyn-1", "text-to-image", PROMPT | {"alwayson_scripts": {"sd_model_checkpoint": "any.safetensors"}}),
        ("comfy", "pipeline", {"1": {"class_type": "SaveImage", "inputs": {}}}),
    ],
)
def test_what_the_door_accepts_arrives_in_the_queue_of_its_runtime_alone(deployed, taken, tmp_path, task):
    job = Door(deployed, tmp_path).submit(*task)
    [(runtime, [body])] = taken().items()
    received = Task.model_validate_json(json.loads(body)["Message"])
    assert (runtime, received.metadata.job) == (task[0], job)


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
def test_a_foreign_message_arrives_where_its_attributes_lead(deployed, taken, attributes, receiver):
    named = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    topic = deployed.id_of("TasksTopic")
    deployed.client("sns").publish(TopicArn=topic, Message="{}", MessageAttributes=named)
    assert set(taken()) == ({receiver} if receiver else set())


@pytest.fixture(scope="module")
def policies(deployed):
    """The policies of queues and topics, by logical id."""
    found = deployed.stack.of_type("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
    return {
        one["Properties"].get("Queues", one["Properties"].get("Topics"))[0].strip("${}"): (
            deployed.filled(name)["PolicyDocument"]
        )
        for name, one in found.items()
    }


@pytest.mark.parametrize(
    ("action", "principal", "source", "granted"),
    [
        ("sqs:SendMessage", SNS, "TasksTopic", True),
        ("sqs:SendMessage", SNS, "NoticesTopic", False),
        ("sqs:SendMessage", {"Service": "s3.amazonaws.com"}, "TasksTopic", False),
        ("sqs:SendMessage", {"AWS": "arn:aws:iam::999999999999:root"}, "TasksTopic", False),
        ("sqs:ReceiveMessage", SNS, "TasksTopic", False),
    ],
)
def test_a_queue_takes_messages_of_the_topic_of_tasks_and_is_open_to_nothing_else(
    deployed, policies, *, action, principal, source, granted
):
    context = {"aws:SourceArn": deployed.id_of(source), "aws:SecureTransport": "true"}
    for queue in ("Queuestatic", "QueuedynDash1", "Queuecomfy"):
        arn = deployed.id_of(f"{queue}.Arn")
        assert allowed(policies[queue], action, arn, principal=principal, context=context) is granted


def test_nothing_that_was_not_encrypted_on_its_way_is_taken(stack, policies):
    named = {name for name, one in stack.properties("AWS::SQS::Queue").items() if "QueueName" in one}
    assert {*named, "TasksTopic", "NoticesTopic"} <= policies.keys()
    for name, document in policies.items():
        action = "sns:Publish" if name.endswith("Topic") else "sqs:SendMessage"
        assert denies(document, action, {"aws:SecureTransport": "false"})
        assert not denies(document, action, {"aws:SecureTransport": "true"})


@pytest.mark.parametrize(("account", "granted"), [(ACCOUNT, True), ("999999999999", False)])
@pytest.mark.parametrize("service", ["sns.amazonaws.com", "cloudwatch.amazonaws.com", f"logs.{REGION}.amazonaws.com"])
def test_the_policy_asked_of_the_operators_key_serves_this_account_and_no_other(service, account, granted):
    place = {"partition": "aws", "url_suffix": "amazonaws.com", "region": REGION, "account": ACCOUNT}
    context = {
        "aws:SourceAccount": account,
        "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{account}:log-group:any",
    }
    document = {"Statement": service_statements(**place)}
    request = {"principal": {"Service": service}, "context": context}
    assert allowed(document, "kms:GenerateDataKey", "key", **request) is granted


def test_priorities_add_two_queues_that_share_the_returned_one_and_change_nothing_but_the_filter_of_the_first():
    stack = example("everything")
    (runtime,) = [one for one in stack.config.catalog if one.has_priorities]
    queues, name = stack.properties("AWS::SQS::Queue"), stack.config.queue_name(runtime.name)
    ids = {priority: f"{priority.suffix[1:].title()}Queue{runtime.name}" for priority in Priority}
    usual = {key: value for key, value in queues["Queueflows"].items() if key != "QueueName"}
    for priority, of_priority in ids.items():
        assert queues[of_priority] == {**usual, "QueueName": f"{name}{priority.suffix}"}
    filters = {
        one["Endpoint"]: one["FilterPolicy"]
        for one in stack.properties("AWS::SNS::Subscription").values()
        if one["Protocol"] == "sqs" and one["TopicArn"] == "${TasksTopic}"
    }
    for priority, of_priority in ids.items():
        assert filters[f"${{{of_priority}.Arn}}"] == subscription_filter(runtime, stack.config.catalog, priority)
    assert [one for one in queues if re.match("(High|Low)Queue", one)] == [ids[Priority.HIGH], ids[Priority.LOW]]
    values = stack.releases[runtime.name]["Values"]["runtime"]["queueAgent"]
    assert [values[f"sqs{end}QueueUrl"] for end in ("High", "", "Low")] == [f"${{{one}}}" for one in ids.values()]
    for owner, action in (
        (runtime.name, "sqs:ReceiveMessage"),
        ("keda-operator", "sqs:GetQueueAttributes"),
        ("keeper.handlers.reaper_handler", "sqs:GetQueueUrl"),
    ):
        granted = [one for one in stack.statements(owner) if action in listed(one["Action"])]
        resources = {resource for one in granted for resource in listed(one["Resource"])}
        assert resources >= {f"${{{one}.Arn}}" for one in ids.values()}, owner
