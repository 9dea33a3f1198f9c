"""Models as files, and what CloudWatch sees of the cluster, as the template says it."""

import json

import pytest
from infrakit.cluster import MODELS, NAME, closed_cluster, open_cluster
from infrakit.platform import KEY_ARN

OWNED = {"StringEquals": {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}}
"""The bucket is the deployment's own account's."""


@pytest.fixture(scope="module")
def cluster():
    return open_cluster()


@pytest.fixture(scope="module")
def closed():
    return closed_cluster()


def _configuration(synthesized, name):
    _, add_on = synthesized.only("AWS::EKS::Addon", AddonName=name)
    return json.loads(add_on["Properties"]["ConfigurationValues"])


def _rights(synthesized, service_account):
    """Each statement as (action, resource, condition)."""
    return [
        (statement["Action"], statement["Resource"], statement.get("Condition"))
        for statement in synthesized.statements(synthesized.identity(service_account))
    ]


def test_mountpoint_reads_the_model_bucket_and_nothing_else(cluster):
    assert _rights(cluster, "s3-csi-driver-sa") == [
        ("s3:ListBucket", MODELS, OWNED),
        ("s3:GetObject", f"{MODELS}/*", OWNED),
    ]


def test_mountpoint_reads_only_the_folder_that_is_mounted(closed):
    rights = _rights(closed, "s3-csi-driver-sa")
    assert ("s3:ListBucket", MODELS, {**OWNED, "StringLike": {"s3:prefix": "v2/*"}}) in rights
    assert ("s3:GetObject", f"{MODELS}/v2/*", OWNED) in rights


def test_a_bucket_of_an_account_that_is_named_may_be_read_too():
    from cdk.bucket_owner import owned_by

    assert owned_by(["210987654321"])["StringEquals"]["aws:ResourceAccount"][1:] == ["210987654321"]


def test_mountpoint_decrypts_what_it_reads_and_encrypts_nothing(closed):
    keyed = [action for action, resource, _ in _rights(closed, "s3-csi-driver-sa") if resource == KEY_ARN]
    assert keyed == ["kms:Decrypt"]


def test_mountpoint_runs_on_nodes_with_taints(cluster):
    assert _configuration(cluster, "aws-mountpoint-s3-csi-driver")["node"]["tolerateAllTaints"] is True


def test_mountpoint_has_its_rights_before_it_starts(cluster):
    association, _ = cluster.only("AWS::EKS::PodIdentityAssociation", ServiceAccount="s3-csi-driver-sa")
    driver, _ = cluster.only("AWS::EKS::Addon", AddonName="aws-mountpoint-s3-csi-driver")
    assert association in cluster.needs(driver)


@pytest.mark.parametrize("service_account", ["aws-node", "s3-csi-driver-sa", "cloudwatch-agent", "karpenter"])
def test_pods_alone_have_the_rights_of_add_ons(cluster, service_account):
    role = cluster.template["Resources"][cluster.identity(service_account)]["Properties"]
    for statement in role["AssumeRolePolicyDocument"]["Statement"]:
        assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}


def test_container_insights_measures_more_than_the_cluster_itself(cluster):
    agent = _configuration(cluster, "amazon-cloudwatch-observability")["agent"]
    kubernetes = agent["config"]["logs"]["metrics_collected"]["kubernetes"]
    assert kubernetes == {"enhanced_container_insights": True}


def test_application_signals_leaves_the_pods_alone(cluster):
    manager = _configuration(cluster, "amazon-cloudwatch-observability")["manager"]
    assert manager["applicationSignals"]["autoMonitor"]["monitorAllServices"] is False


@pytest.mark.parametrize("kind", ["application", "dataplane", "host", "performance"])
def test_the_logs_of_the_cluster_are_kept_for_as_long_as_the_setting_says(cluster, kind):
    name, group = cluster.only("AWS::Logs::LogGroup", LogGroupName=f"/aws/containerinsights/{NAME}/{kind}")
    agents, _ = cluster.only("AWS::EKS::Addon", AddonName="amazon-cloudwatch-observability")
    assert group["Properties"]["RetentionInDays"] == 30
    assert name in cluster.needs(agents)


def test_every_log_is_encrypted_with_the_operators_key(closed):
    groups = closed.of_type("AWS::Logs::LogGroup").values()
    assert {group["Properties"].get("KmsKeyId") for group in groups} == {KEY_ARN}


def test_cloudwatchs_agents_write_their_own_logs_and_no_others(cluster):
    written = [
        resource["Fn::GetAtt"][0]
        for action, resource, _ in _rights(cluster, "cloudwatch-agent")
        if action == ["logs:CreateLogStream", "logs:PutLogEvents"]
    ]
    names = [cluster.template["Resources"][name]["Properties"]["LogGroupName"] for name in written]
    assert sorted(names) == [
        f"/aws/containerinsights/{NAME}/{kind}" for kind in ("application", "dataplane", "host", "performance")
    ]


def test_cloudwatchs_agents_may_otherwise_only_look(cluster):
    others = [action for action, _, _ in _rights(cluster, "cloudwatch-agent") if "logs:PutLogEvents" not in action]
    assert others == [["ec2:DescribeTags", "ec2:DescribeVolumes"]]
