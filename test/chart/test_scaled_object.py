"""ScaledObject and TriggerAuthentication: pods follow the queue."""

import pytest
from chartkit import AWS, QUEUE

from test.kit.charts import at, merged


@pytest.fixture(scope="module")
def static(releases):
    return releases["static"]


def spec(release):
    return release["ScaledObject"]["spec"]


def triggers(release):
    return {each["name"]: each for each in spec(release)["triggers"]}


def test_the_deployment_is_what_is_scaled(static):
    assert spec(static)["scaleTargetRef"] == {"name": static["Deployment"]["metadata"]["name"]}


def test_the_queue_is_read_with_running_tasks_and_without(static):
    read = {name: each["metadata"] for name, each in triggers(static).items() if each["type"] == "aws-sqs-queue"}
    queue = {"queueURL": QUEUE, "awsRegion": "us-east-1"}
    assert read == {
        "total": {**queue, "scaleOnInFlight": "true"},
        "waiting": {**queue, "scaleOnInFlight": "false"},
    }


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_the_pods_counted_are_the_deployments(releases, name):
    labels = releases[name]["Deployment"]["spec"]["selector"]["matchLabels"]
    selector = triggers(releases[name])["pods"]["metadata"]["podSelector"]
    assert dict(each.split("=") for each in selector.split(",")) == labels


def test_the_region_is_the_one_given_before_the_topics(helm):
    release = helm.template(merged(AWS, at("runtime.queueAgent.awsRegion", "eu-west-1")))
    assert triggers(release)["total"]["metadata"]["awsRegion"] == "eu-west-1"


def test_the_defaults_are_the_references_but_for_the_interval(static):
    keys = ("minReplicaCount", "maxReplicaCount", "cooldownPeriod", "pollingInterval")
    assert tuple(spec(static)[key] for key in keys) == (0, 20, 60, 2)


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_a_queue_that_cannot_be_read_changes_no_number_of_pods(releases, name):
    """A fallback starts a pod at zero, and under one KEDA counts no more errors (pkg/fallback of KEDA 2.21).

    Without one it answers the autoscaler with the error, which then changes nothing, and changes nothing itself.
    """
    assert "fallback" not in spec(releases[name])
    assert spec(releases[name])["advanced"]["scalingModifiers"]["formula"]


def test_all_pods_of_a_burst_are_ordered_at_once(helm):
    release = helm.template(merged(AWS, at("runtime.scaling.maxReplicaCount", 7)))
    behavior = spec(release)["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"]["policies"] == [{"type": "Pods", "value": 7, "periodSeconds": 15}]


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_pods_stay_as_long_while_others_work_as_the_last_one_does(releases, name):
    behavior = spec(releases[name])["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= spec(releases[name])["cooldownPeriod"]


def test_settings_of_the_autoscaler_are_added_to_ours(helm):
    policy = {"type": "Pods", "value": 2, "periodSeconds": 30}
    extra = {"behavior": {"scaleUp": {"policies": [policy]}, "scaleDown": {"selectPolicy": "Min"}}}
    release = helm.template(merged(AWS, at("runtime.scaling.extraHPAConfig", extra)))
    assert spec(release)["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == {
        "scaleUp": {"policies": [policy]},
        "scaleDown": {"selectPolicy": "Min", "stabilizationWindowSeconds": 60},
    }


def test_a_window_shorter_than_the_cooldown_is_refused(helm):
    extra = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 59}}}
    said = helm.refusal(merged(AWS, at("runtime.scaling.extraHPAConfig", extra)))
    assert "runtime.scaling.extraHPAConfig" in said


def test_no_window_is_longer_than_kubernetes_takes(helm):
    release = helm.template(merged(AWS, at("runtime.scaling.cooldownPeriod", 7200)))
    behavior = spec(release)["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 3600


def test_keda_reads_the_queue_with_its_own_identity(static):
    assert static["TriggerAuthentication"]["spec"] == {"podIdentity": {"provider": "aws"}}
    assert [
        each["authenticationRef"]["name"] for each in triggers(static).values() if each["type"] == "aws-sqs-queue"
    ] == 2 * [static["TriggerAuthentication"]["metadata"]["name"]]


def test_elsewhere_keda_has_the_agents_keys_and_the_agents_address(releases):
    release = releases["anywhere"]
    keys = {each["parameter"]: (each["name"], each["key"]) for each in
            release["TriggerAuthentication"]["spec"]["secretTargetRef"]}  # fmt: skip
    assert keys == {
        "awsAccessKeyID": ("keys", "AWS_ACCESS_KEY_ID"),
        "awsSecretAccessKey": ("keys", "AWS_SECRET_ACCESS_KEY"),
    }
    read = [each["metadata"] for each in triggers(release).values() if each["type"] == "aws-sqs-queue"]
    assert [each["awsEndpoint"] for each in read] == 2 * ["http://aws.aws:5000"]
