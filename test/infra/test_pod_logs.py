"""What ships the logs of pods where CloudWatch measures nothing: Fluent Bit on every node, with one right."""

import kubernetes_validate
import pytest


def application_logs(stack):
    name = f"/aws/containerinsights/{stack.config.cloudformation_stack}/application"
    return [group for group, one in stack.properties("AWS::Logs::LogGroup").items() if one.get("LogGroupName") == name]


@pytest.fixture(scope="module")
def objects(lean):
    """The Kubernetes objects that are installed, by kind."""
    return lean.manifest("fluent-bit")[1]


def test_every_object_is_valid_to_kubernetes(objects):
    for one in objects.values():
        kubernetes_validate.validate(one, "1.36", strict=True)
    kinds = {"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"}
    assert set(objects) == kinds


def test_it_writes_to_the_group_of_all_profiles_and_nothing_else(lean):
    (statement,) = lean.statements("fluent-bit")
    (group,) = application_logs(lean)
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"] == f"${{{group}.Arn}}"


def test_its_configuration_names_what_its_pods_have(objects):
    configuration = objects["ConfigMap"]["data"]["fluent-bit.conf"]
    pods = objects["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = pods["containers"]
    named = {word for word in ("${AWS_REGION}", "${LOG_GROUP}", "${HOST_NAME}") if word in configuration}
    assert named == {f"${{{one['name']}}}" for one in container["env"]}
    mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert mounted["configuration"] == "/fluent-bit/etc/"  # where the image looks for fluent-bit.conf
    paths = [line.split()[1] for line in configuration.splitlines() if "/var/" in line and "Exclude" not in line]
    assert all(path.startswith((mounted["state"], mounted["logs"])) for path in paths)


def test_a_change_between_both_forms_keeps_the_log_group(lean, standard):
    """Else CloudFormation would make a second one of the same name before it removes the first, and fail."""
    assert application_logs(lean) == application_logs(standard) != []
