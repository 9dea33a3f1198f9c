import pytest
from infrakit.platform import KEY_ARN, config_of

from cdk.messaging import Messaging
from configuration.routing import subscription_filter
from contract.queues import DEAD, RETURNED, TASKS

CONFIG = config_of()
IDS = {"static": "static", "dyn-1": "dynDash1", "comfy": "comfy", "old": "old"}


@pytest.fixture(scope="module")
def queues(platform_template):
    return resources(platform_template, "AWS::SQS::Queue")


@pytest.fixture(scope="module")
def topics(platform_template):
    return resources(platform_template, "AWS::SNS::Topic")


def resources(template, kind):
    return {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == kind}


def test_topics_and_queues_have_the_same_ids_wherever_they_stand(template_of, queues, topics):
    template = template_of(lambda stack: Messaging(stack, "Elsewhere", config=CONFIG, key=None)).to_json()
    expected = {f"{kind}Queue{name}" for name in IDS.values() for kind in ("", "Returned", "Dead")}
    assert set(queues) == set(resources(template, "AWS::SQS::Queue")) == expected
    assert set(topics) == set(resources(template, "AWS::SNS::Topic")) == {"TasksTopic", "NoticesTopic"}


def test_runtimes_whose_names_differ_by_a_hyphen_have_queues_of_their_own(template_of):
    runtimes = [{"name": name, "namespace": name, "type": "comfyui"} for name in ("a-1", "a1", "a-dash1")]
    config = config_of(modelsRuntime=runtimes)
    template = template_of(lambda stack: Messaging(stack, "M", config=config, key=None))
    template.resource_count_is("AWS::SQS::Queue", 9)


@pytest.mark.parametrize("runtime", IDS)
@pytest.mark.parametrize(("kind", "settings"), [("", TASKS), ("Returned", RETURNED), ("Dead", DEAD)])
def test_every_queue_is_named_and_timed_as_the_contract_says(queues, runtime, kind, settings):
    made = queues[f"{kind}Queue{IDS[runtime]}"]
    assert made["QueueName"] == CONFIG.queue_name(runtime) + settings.suffix
    assert made["VisibilityTimeout"] == settings.visibility_s
    assert made["MessageRetentionPeriod"] == settings.retention_s
    assert made.get("RedrivePolicy", {}).get("maxReceiveCount") == settings.max_receives


@pytest.mark.parametrize("name", IDS.values())
def test_what_is_delivered_too_often_goes_to_the_keeper_and_from_there_to_the_dead_queue(queues, name):
    def target(logical_id):
        return queues[logical_id]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]

    assert target(f"Queue{name}") == f"ReturnedQueue{name}"
    assert target(f"ReturnedQueue{name}") == f"DeadQueue{name}"


def test_a_message_is_kept_longer_where_nobody_takes_it_than_where_it_waits():
    assert TASKS.retention_s < RETURNED.retention_s <= DEAD.retention_s


def test_each_runtime_that_takes_tasks_is_subscribed_by_its_own_filter_and_a_disabled_one_is_not(platform_template):
    subscriptions = resources(platform_template, "AWS::SNS::Subscription").values()
    filters = {one["Endpoint"]["Fn::GetAtt"][0]: one["FilterPolicy"] for one in subscriptions}
    assert filters == {f"Queue{IDS[one.name]}": subscription_filter(one, CONFIG.catalog) for one in CONFIG.catalog}
    assert "Queueold" not in filters
    assert all(one["TopicArn"] == {"Ref": "TasksTopic"} for one in subscriptions)


def test_messages_arrive_in_their_envelope(platform_template):
    for subscription in resources(platform_template, "AWS::SNS::Subscription").values():
        assert not subscription.get("RawMessageDelivery")


def test_both_topics_pass_traces_on_and_may_send_them(platform_template, topics):
    assert all(topic["TracingConfig"] == "Active" for topic in topics.values())
    [policy] = resources(platform_template, "AWS::XRay::ResourcePolicy").values()
    referred = [part["Ref"] for part in policy["PolicyDocument"]["Fn::Join"][1] if isinstance(part, dict)]
    assert {"TasksTopic", "NoticesTopic"} <= set(referred)


def test_topics_have_no_names_of_their_own(topics):
    assert not [topic for topic in topics.values() if "TopicName" in topic]


def test_without_a_key_queues_are_encrypted_by_sqs_itself_to_which_sns_can_deliver(queues):
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is True
        assert "KmsMasterKeyId" not in queue


def test_without_a_key_topics_are_encrypted_by_the_accounts_key_for_sns(topics):
    for topic in topics.values():
        assert topic["KmsMasterKeyId"]["Fn::Join"][1][-1] == ":alias/aws/sns"


def test_a_key_of_the_operators_encrypts_all_topics_and_queues(keyed_template):
    kinds = ("AWS::SNS::Topic", "AWS::SQS::Queue")
    encrypted = [one for kind in kinds for one in resources(keyed_template, kind).values()]
    assert len(encrypted) == 14
    assert {one["KmsMasterKeyId"] for one in encrypted} == {KEY_ARN}
