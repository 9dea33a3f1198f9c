"""ScaledObject and TriggerAuthentication: pods follow the queue."""

import pytest
from chartkit import AWS, QUEUE

from test.kit.charts import at, merged


def spec(release):
    return release["ScaledObject"]["spec"]


def triggers(release):
    return {each["name"]: each for each in spec(release)["triggers"]}


def readings(release):
    return [each for each in spec(release)["triggers"] if each["type"] == "aws-sqs-queue"]


def behavior(release):
    return spec(release)["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]


def test_the_deployment_is_scaled_by_its_queue_which_is_read_with_running_tasks_and_without(static):
    assert spec(static)["scaleTargetRef"] == {"name": static["Deployment"]["metadata"]["name"]}
    queue = {"queueURL": QUEUE, "awsRegion": "us-east-1"}
    assert {each["name"]: each["metadata"] for each in readings(static)} == {
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
    assert behavior(release)["scaleUp"]["policies"] == [{"type": "Pods", "value": 7, "periodSeconds": 15}]


@pytest.mark.parametrize(("cooldown_s", "window_s"), [(60, 60), (300, 300), (7200, 3600)])
def test_pods_stay_as_long_while_others_work_as_the_last_one_does_within_kubernetes_limit(helm, cooldown_s, window_s):
    release = helm.template(merged(AWS, at("runtime.scaling.cooldownPeriod", cooldown_s)))
    assert spec(release)["cooldownPeriod"] == cooldown_s
    assert behavior(release)["scaleDown"]["stabilizationWindowSeconds"] == window_s


def test_settings_of_the_autoscaler_are_added_to_ours_but_for_a_window_shorter_than_the_cooldown(helm):
    policy, path = {"type": "Pods", "value": 2, "periodSeconds": 30}, "runtime.scaling.extraHPAConfig"
    extra = {"behavior": {"scaleUp": {"policies": [policy]}, "scaleDown": {"selectPolicy": "Min"}}}
    assert behavior(helm.template(merged(AWS, at(path, extra)))) == {
        "scaleUp": {"policies": [policy]},
        "scaleDown": {"selectPolicy": "Min", "stabilizationWindowSeconds": 60},
    }
    short = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 59}}}
    assert path in helm.refusal(merged(AWS, at(path, short)))


def test_keda_reads_the_queue_with_its_own_identity_or_elsewhere_with_the_agents_keys_and_address(static, releases):
    authentication, elsewhere = static["TriggerAuthentication"], releases["anywhere"]
    assert authentication["spec"] == {"podIdentity": {"provider": "aws"}}
    used = [each["authenticationRef"]["name"] for each in readings(static)]
    assert used == 2 * [authentication["metadata"]["name"]]
    references = elsewhere["TriggerAuthentication"]["spec"]["secretTargetRef"]
    assert {each["parameter"]: (each["name"], each["key"]) for each in references} == {
        "awsAccessKeyID": ("keys", "AWS_ACCESS_KEY_ID"),
        "awsSecretAccessKey": ("keys", "AWS_SECRET_ACCESS_KEY"),
    }
    assert [each["metadata"]["awsEndpoint"] for each in readings(elsewhere)] == 2 * ["http://aws.aws:5000"]
