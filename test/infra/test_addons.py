"""Models as files, and what CloudWatch sees of the cluster, as the template says it."""

import json

import pytest
from infrakit.stacks import KEY_ARN, MODELS, NAME, OTHER_ACCOUNT

OWNED = {"StringEquals": {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}}
"""The bucket is the deployment's own account's."""
KINDS_OF_LOGS = ("application", "dataplane", "host", "performance")


def configuration(stack, name):
    return json.loads(stack.only("AWS::EKS::Addon", AddonName=name)[1]["ConfigurationValues"])


def rights(stack, service_account):
    """Each statement as (action, resource, condition)."""
    return [
        (statement["Action"], statement["Resource"], statement.get("Condition"))
        for statement in stack.statements(stack.identity(service_account))
    ]


def test_mountpoint_reads_the_model_bucket_and_nothing_else(stack):
    assert rights(stack, "s3-csi-driver-sa") == [
        ("s3:ListBucket", MODELS, OWNED),
        ("s3:GetObject", f"{MODELS}/*", OWNED),
    ]


def test_mountpoint_reads_only_the_folder_that_is_mounted_of_accounts_that_are_named_and_decrypts_it(configured):
    owned = {"StringEquals": {"aws:ResourceAccount": [{"Ref": "AWS::AccountId"}, OTHER_ACCOUNT]}}
    listing, reading, (action, resource, _) = rights(configured, "s3-csi-driver-sa")
    assert listing == ("s3:ListBucket", MODELS, {**owned, "StringLike": {"s3:prefix": "v2/*"}})
    assert reading == ("s3:GetObject", f"{MODELS}/v2/*", owned)
    assert (action, resource) == ("kms:Decrypt", KEY_ARN)


def test_mountpoint_runs_on_nodes_with_taints(stack):
    assert configuration(stack, "aws-mountpoint-s3-csi-driver")["node"]["tolerateAllTaints"] is True


@pytest.mark.parametrize(
    "service_account", ["aws-node", "s3-csi-driver-sa", "cloudwatch-agent", "karpenter", "keda-operator", "static"]
)
def test_pods_alone_take_the_roles_of_pods(stack, service_account):
    role = stack.resources[stack.identity(service_account)]["Properties"]
    for statement in role["AssumeRolePolicyDocument"]["Statement"]:
        assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}


def test_container_insights_measures_more_than_the_cluster_and_leaves_the_pods_alone(stack):
    settings = configuration(stack, "amazon-cloudwatch-observability")
    kubernetes = settings["agent"]["config"]["logs"]["metrics_collected"]["kubernetes"]
    assert kubernetes == {"enhanced_container_insights": True}
    assert settings["manager"]["applicationSignals"]["autoMonitor"]["monitorAllServices"] is False


@pytest.mark.parametrize("kind", KINDS_OF_LOGS)
def test_the_logs_of_the_cluster_are_kept_for_as_long_as_the_setting_says(stack, kind):
    name, group = stack.only("AWS::Logs::LogGroup", LogGroupName=f"/aws/containerinsights/{NAME}/{kind}")
    assert group["RetentionInDays"] == 30
    assert name in stack.needs(stack.only("AWS::EKS::Addon", AddonName="amazon-cloudwatch-observability")[0])


def test_cloudwatchs_agents_write_their_own_logs_and_may_otherwise_only_look(stack):
    written, others = [], []
    for action, resource, _ in rights(stack, "cloudwatch-agent"):
        if "logs:PutLogEvents" in action:
            written.append(stack.resources[resource["Fn::GetAtt"][0]]["Properties"]["LogGroupName"])
        else:
            others.append(action)
    assert sorted(written) == [f"/aws/containerinsights/{NAME}/{kind}" for kind in KINDS_OF_LOGS]
    assert others == [["ec2:DescribeTags", "ec2:DescribeVolumes"]]
