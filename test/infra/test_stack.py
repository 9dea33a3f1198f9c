"""The whole of each example configuration, down to the release of every runtime."""

import json
import re
from pathlib import Path

import pytest
from cfnlint.api import ManualArgs, lint
from infrakit.stacks import CONFIGS, NAMES, example, listed

from cdk import __main__ as application
from configuration.images import IMAGES, content_tag
from docs import generate_policies, generate_roles
from docs.synthesis import synthesized_template

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).parent / "logical-ids.txt"
REPLACED_WITH_LOSS = (
    *("AWS::ApiGateway::ApiKey", "AWS::ApiGateway::RestApi", "AWS::CloudWatch::Dashboard", "AWS::DynamoDB::Table"),
    *("AWS::EC2::NatGateway", "AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::VPC", "AWS::EKS::Addon"),
    *("AWS::EKS::Cluster", "AWS::EKS::Nodegroup", "AWS::IAM::Role", "AWS::KMS::Key", "AWS::Logs::LogGroup"),
    *(
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "Custom::AWSCDK-EKS-HelmChart",
    ),
    *("Custom::AWSCDK-EKS-KubernetesResource", "Custom::KarpenterNodeDrain"),
)
"""Types whose resources hold something, have an address or interrupt work when they are replaced."""
GATEWAY = (
    *("Account", "ApiKey", "Authorizer", "Deployment", "GatewayResponse", "Method", "Resource", "RestApi", "Stage"),
    *("UsagePlan", "UsagePlanKey"),
)
OUTPUTS = {
    *("FrontApiEndpoint", "GetAPIKeyCommand", "APIKeys", "OutputS3Bucket", "sdNotificationOutputArn", "JobsTable"),
}
REDUNDANT = ["W3005", "W2001"]
"""A DependsOn beside a Ref, and a parameter that is not used: CDK writes both."""


def test_no_resource_of_a_deployment_is_replaced_by_an_upgrade(request):
    """CloudFormation replaces what has another logical id: what is in it, and its address, would be lost."""
    found = sorted(f"{one['Type']} {name}" for name, one in example("everything").of_type(*REPLACED_WITH_LOSS).items())
    if request.config.getoption("--write-snapshots"):
        SNAPSHOT.write_text("\n".join(found) + "\n", encoding="utf-8")
    assert found == SNAPSHOT.read_text(encoding="utf-8").splitlines()


def test_cfn_lint_finds_nothing_in_any_partition():
    """Where an example has no property that those before it lack, it is as good as checked."""
    regions, checked = ["us-east-1", "cn-northwest-1", "us-gov-west-1"], set()
    for name in sorted(NAMES, key=lambda name: -len(example(name).text)):
        properties = {
            (one["Type"], key) for one in example(name).resources.values() for key in one.get("Properties", ())
        }
        if not properties <= checked:
            found = lint(example(name).text, config=ManualArgs(ignore_checks=REDUNDANT, regions=regions))
            assert [str(one) for one in found if one.rule.severity != "informational"] == [], name
        checked |= properties


@pytest.mark.parametrize("name", NAMES)
def test_no_partition_domain_or_region_is_written_down(name):
    text = example(name).text
    for known in (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").split():
        text = text.replace(known.strip(",[]{}\"'"), "") if len(known) > 12 else text
    assert not re.findall(r"arn:aws[a-z-]*:(?!iam::aws)[^\"]{0,60}", text)
    named = re.findall(r"region: ([a-z0-9-]+)", (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    assert set(re.findall(r"\b(?:us|eu|ap|cn)-[a-z]+-\d\b", text)) <= set(named)
    assert not re.findall(r"[^\"\s]*amazonaws\.com(?:\.cn)?(?<!\.amazonaws\.com)[^\"]{0,30}", text)


@pytest.mark.parametrize("name", NAMES)
def test_no_role_grants_all_of_a_service(name):
    stack = example(name)
    for policy in stack.properties("AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            assert not [action for action in listed(statement["Action"]) if action.endswith(":*")]
    assert "FullAccess" not in json.dumps(stack.properties("AWS::IAM::Role"))


def test_managed_runtimes_alone_have_no_cluster_network_nat_or_volume(managed):
    assert {one["Type"] for one in managed.resources.values()} == {
        *(f"AWS::ApiGateway::{kind}" for kind in GATEWAY),
        *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::DynamoDB::Table", "AWS::Events::Rule"),
        *("AWS::IAM::Policy", "AWS::IAM::Role", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping"),
        *("AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::Logs::LogGroup", "AWS::S3::Bucket"),
        *("AWS::S3::BucketPolicy", "AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy"),
        *("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::SecretsManager::Secret", "AWS::XRay::ResourcePolicy"),
    }
    assert set(managed.outputs) == OUTPUTS


def test_what_a_runtime_keeps_and_its_callers_use_stays_when_the_first_or_the_last_pod_comes_or_goes(stack, managed):
    """Else a change between both forms would replace what holds jobs and pictures, or has an address."""
    kept = ("AWS::ApiGateway::ApiKey", "AWS::ApiGateway::RestApi", "AWS::DynamoDB::Table", "AWS::S3::Bucket")
    kept = (*kept, "AWS::SNS::Topic", "AWS::SecretsManager::Secret")
    assert set(stack.of_type(*kept)) == set(managed.of_type(*kept))
    assert {"Queuesingle", "ReturnedQueuesingle", "DeadQueuesingle"} <= set(managed.of_type("AWS::SQS::Queue"))


def test_the_outputs_are_those_that_the_scripts_and_the_documentation_name():
    assert set(example("minimal").template["Outputs"]) == OUTPUTS | {"ConfigCommand", "ClusterName"}


@pytest.mark.parametrize("name", ["minimal", "everything"])
def test_each_runtime_has_a_release_with_the_images_that_a_build_of_this_checkout_makes(name):
    stack = example(name)
    for runtime in stack.config.models_runtime:
        release = stack.releases[runtime.name]
        assert release["Namespace"] == runtime.namespace
        for container, image in (("inferenceApi", runtime.type), ("queueAgent", "queue-agent")):
            asked = release["Values"]["runtime"][container]["image"]
            assert asked["repository"].endswith(f"/sd-on-eks/{image}")
            assert asked["tag"] == content_tag(ROOT, IMAGES[image].dockerfile)
            assert "digest" not in asked


def test_a_runtime_of_a_foreign_chart_is_released_from_there():
    release = example("own-chart").releases["mine"]
    assert (release["Repository"], release["Version"]) == ("oci://registry.example/charts/sd-on-eks", "9.9.9")
    assert release["Values"]["anything"] == {"goes": 1}
    assert release["Values"]["runtime"]["queueAgent"]["sqsQueueUrl"].startswith("${")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ((ROOT / "config.yaml").read_text(encoding="utf-8"), 0, ["modelBucketArn is still the example's"]),
        ("stackName: 1a\nmodelsRuntime: []\n", 1, ["stackName", "modelBucketArn", "modelsRuntime"]),
    ],
)
def test_the_application_names_every_error_of_a_file_and_warns_of_the_examples_bucket(
    monkeypatch, tmp_path, capsys, *, text, code, said
):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("CDK_CONFIG_PATH", str(path))
    monkeypatch.setenv("CDK_OUTDIR", str(tmp_path / "out"))
    assert application.main() == code
    errors = capsys.readouterr().err
    assert all(words in errors for words in said)


def test_the_page_of_roles_is_what_the_stack_grants():
    template = synthesized_template(generate_roles.CONFIG)
    assert generate_roles.PAGE.read_text(encoding="utf-8") == generate_roles.page(template)


def test_the_policies_for_cloudformation_are_what_its_handlers_call_and_iam_takes_each():
    files = sorted(generate_policies.FOLDER.glob("cloudformation-*.json"))
    written = generate_policies.policies([example(name).template for name in NAMES])
    assert [json.loads(path.read_text(encoding="utf-8")) for path in files] == written
    assert all(len(json.dumps(one, separators=(",", ":"))) <= generate_policies.MAX_CHARACTERS for one in written)
