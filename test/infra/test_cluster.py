"""The cluster, its administrators and its own nodes, as the template says it; and what linters find in all of it."""

import json
import re

import pytest
from cfnlint.api import ManualArgs, lint
from infrakit.cluster import ADMIN, NAME, closed_cluster, open_cluster
from infrakit.platform import KEY_ARN

from configuration.platform import Cluster as ClusterSettings

_REGIONS = ["us-east-1", "cn-northwest-1", "us-gov-west-1"]
_REDUNDANT = "W3005"
"""A DependsOn beside a Ref: CDK writes them where a construct depends on all of another."""


@pytest.fixture(scope="module")
def cluster():
    return open_cluster()


@pytest.fixture(scope="module")
def closed():
    return closed_cluster()


def _properties(synthesized, kind="AWS::EKS::Cluster", **wanted):
    return synthesized.only(kind, **wanted)[1]["Properties"]


def _add_on(synthesized, name):
    return synthesized.only("AWS::EKS::Addon", AddonName=name)


def _policies(role):
    return {arn["Fn::Join"][1][-1].rpartition("/")[2] for arn in role["Properties"].get("ManagedPolicyArns", [])}


def test_the_cluster_has_its_name_and_the_version_of_the_settings(cluster):
    properties = _properties(cluster)
    assert (properties["Name"], properties["Version"]) == (NAME, ClusterSettings().version)


def test_only_access_entries_let_anyone_in_and_whoever_deploys_gets_none(cluster):
    assert _properties(cluster)["AccessConfig"] == {
        "AuthenticationMode": "API",
        "BootstrapClusterCreatorAdminPermissions": False,
    }


def test_auto_mode_is_off(cluster):
    assert _properties(cluster)["ComputeConfig"] == {"Enabled": False}


def test_all_logs_of_the_control_plane_are_kept_for_as_long_as_the_setting_says(cluster):
    name, group = cluster.only("AWS::Logs::LogGroup", LogGroupName=f"/aws/eks/{NAME}/cluster")
    kinds = {kind["Type"] for kind in _properties(cluster)["Logging"]["ClusterLogging"]["EnabledTypes"]}
    assert kinds == {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert group["Properties"]["RetentionInDays"] == 30
    assert name in cluster.needs(cluster.only("AWS::EKS::Cluster")[0])


def test_no_function_that_a_deployment_makes_logs_for_ever(cluster):
    for name, function in cluster.of_type("AWS::Lambda::Function").items():
        group = function["Properties"].get("LoggingConfig", {}).get("LogGroup")
        assert group, f"{name} logs to Lambda's own group"
        assert cluster.template["Resources"][group["Ref"]]["Properties"]["RetentionInDays"] == 30


def test_the_public_endpoint_is_open_to_the_networks_of_the_settings(cluster):
    network = _properties(cluster)["ResourcesVpcConfig"]
    assert (network["EndpointPublicAccess"], network["PublicAccessCidrs"]) == (True, ["0.0.0.0/0"])
    assert network["EndpointPrivateAccess"] is True


def test_without_networks_the_endpoint_is_not_public(closed):
    network = _properties(closed)["ResourcesVpcConfig"]
    assert (network["EndpointPublicAccess"], network["EndpointPrivateAccess"]) == (False, True)


def test_secrets_are_encrypted_with_the_operators_key(closed):
    assert _properties(closed)["EncryptionConfig"] == [{"Provider": {"KeyArn": KEY_ARN}, "Resources": ["secrets"]}]


def test_helm_reaches_the_control_plane_from_the_private_subnets(closed):
    [handler] = [
        function["Properties"]
        for name, function in closed.of_type("AWS::Lambda::Function").items()
        if name.startswith("ClusterKubectlProviderHandler")
    ]
    assert all("Private" in subnet["Ref"] for subnet in handler["VpcConfig"]["SubnetIds"])


def test_the_account_and_nobody_else_may_assume_the_administrators_role(cluster):
    [statement] = cluster.template["Resources"][_admin_role(cluster)]["Properties"]["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert statement["Principal"]["AWS"]["Fn::Join"][1][-1] == ":root"
    assert {"Ref": "AWS::AccountId"} in statement["Principal"]["AWS"]["Fn::Join"][1]


def test_the_administrators_role_may_do_nothing_in_aws(cluster):
    assert cluster.statements(_admin_role(cluster)) == []
    assert _policies(cluster.template["Resources"][_admin_role(cluster)]) == set()


def test_administrators_of_the_settings_administer_the_cluster(closed):
    entry = _properties(closed, "AWS::EKS::AccessEntry", PrincipalArn=ADMIN)
    [policy] = entry["AccessPolicies"]
    assert policy["AccessScope"] == {"Type": "cluster"}
    assert policy["PolicyArn"]["Fn::Join"][1][-1].endswith("/AmazonEKSClusterAdminPolicy")


def _admin_role(synthesized):
    [name] = [name for name in synthesized.of_type("AWS::IAM::Role") if name.startswith("ClusterAdminRole")]
    return name


def test_two_small_bottlerocket_nodes_on_demand_run_the_components(cluster):
    group = _properties(cluster, "AWS::EKS::Nodegroup")
    assert (group["AmiType"], group["CapacityType"], group["InstanceTypes"]) == (
        "BOTTLEROCKET_x86_64",
        "ON_DEMAND",
        ["m5.large"],
    )
    assert group["ScalingConfig"]["DesiredSize"] == group["ScalingConfig"]["MinSize"] == 2
    assert all("Private" in subnet["Ref"] for subnet in group["Subnets"])


def test_nodes_take_every_pod_so_that_no_add_on_must_tolerate_a_taint(cluster):
    assert "Taints" not in _properties(cluster, "AWS::EKS::Nodegroup")


def test_nodes_follow_the_clusters_version(cluster):
    assert _properties(cluster, "AWS::EKS::Nodegroup")["Version"] == _properties(cluster)["Version"]


def test_pods_cannot_become_their_node(cluster):
    template = _properties(cluster, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    assert template["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def test_the_disks_of_nodes_are_encrypted_and_go_with_them(cluster):
    disks = _properties(cluster, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["BlockDeviceMappings"]
    assert [disk["DeviceName"] for disk in disks] == ["/dev/xvda", "/dev/xvdb"]
    assert all(disk["Ebs"]["Encrypted"] and disk["Ebs"]["DeleteOnTermination"] for disk in disks)


def test_nodes_may_join_and_pull_images_and_nothing_else(cluster):
    role = _properties(cluster, "AWS::EKS::Nodegroup")["NodeRole"]["Fn::GetAtt"][0]
    assert _policies(cluster.template["Resources"][role]) == {
        "AmazonEKSWorkerNodePolicy",
        "AmazonEC2ContainerRegistryPullOnly",
    }
    assert cluster.statements(role) == []


def test_ec2_is_trusted_under_the_name_it_has_in_each_partition(cluster):
    role = _properties(cluster, "AWS::EKS::Nodegroup")["NodeRole"]["Fn::GetAtt"][0]
    [statement] = cluster.template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"]["Service"] == {"Fn::Join": ["", ["ec2.", {"Ref": "AWS::URLSuffix"}]]}


def test_only_nodes_and_the_control_plane_reach_nodes(cluster):
    nodes, group = cluster.only("AWS::EC2::SecurityGroup", GroupDescription=f"Nodes of cluster {NAME}")
    sources = [
        rule["Properties"]["SourceSecurityGroupId"]["Fn::GetAtt"]
        for rule in cluster.of_type("AWS::EC2::SecurityGroupIngress").values()
        if rule["Properties"]["GroupId"] == {"Fn::GetAtt": [nodes, "GroupId"]}
    ]
    control_plane = [cluster.only("AWS::EKS::Cluster")[0], "ClusterSecurityGroupId"]
    assert sorted(sources) == sorted([[nodes, "GroupId"], control_plane])
    assert "SecurityGroupIngress" not in group["Properties"]


def test_karpenter_finds_the_security_group_of_the_nodes(cluster):
    tagged = [
        group["Properties"]["GroupDescription"]
        for group in cluster.of_type("AWS::EC2::SecurityGroup").values()
        if {"Key": "karpenter.sh/discovery", "Value": NAME} in group["Properties"].get("Tags", [])
    ]
    assert tagged == [f"Nodes of cluster {NAME}"]


def test_network_policies_are_enforced(cluster):
    _, cni = _add_on(cluster, "vpc-cni")
    assert json.loads(cni["Properties"]["ConfigurationValues"]) == {"enableNetworkPolicy": "true"}


def test_the_network_of_pods_has_rights_of_its_own(cluster):
    assert _policies(cluster.template["Resources"][cluster.identity("aws-node")]) == {"AmazonEKS_CNI_Policy"}


def test_nodes_come_after_what_they_need_to_be_ready(cluster):
    before = cluster.needs(cluster.only("AWS::EKS::Nodegroup")[0])
    for name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
        assert _add_on(cluster, name)[0] in before
    assert _properties(cluster)["BootstrapSelfManagedAddons"] is False


def test_names_come_after_nodes(cluster):
    assert cluster.only("AWS::EKS::Nodegroup")[0] in cluster.needs(_add_on(cluster, "coredns")[0])


def test_charts_are_installed_once_there_are_nodes_and_names(cluster):
    charts = cluster.of_type("Custom::AWSCDK-EKS-HelmChart")
    assert charts
    for name in charts:
        assert _add_on(cluster, "coredns")[0] in cluster.needs(name)


@pytest.mark.parametrize("variant", [open_cluster, closed_cluster])
def test_cdk_nag_finds_nothing_that_is_not_acknowledged(variant):
    assert variant().findings == []


@pytest.mark.parametrize("variant", [open_cluster, closed_cluster])
def test_cfn_lint_finds_nothing_in_any_partition(variant):
    faults = lint(json.dumps(variant().template), config=ManualArgs(ignore_checks=[_REDUNDANT], regions=_REGIONS))
    assert [str(fault) for fault in faults] == []


def test_no_partition_account_or_region_is_written_down(cluster):
    from infrakit.cluster import MODELS

    text = json.dumps(cluster.template).replace(MODELS, "")
    assert set(re.findall(r"arn:aws[^\"]*", text)) == {"arn:aws:sqs:us-east-1:123456789012:watched"}  # the test's own
    assert not re.findall(r"(?<!:)\b(?:us|eu|cn)-[a-z]+-\d\b", text)


def test_no_policy_of_a_role_grants_all_of_a_service(cluster):
    policies = {name for role in cluster.of_type("AWS::IAM::Role").values() for name in _policies_or_none(role)}
    assert not [name for name in policies if "FullAccess" in name]
    for policy in cluster.of_type("AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            assert not [action for action in actions if action.endswith(":*")]


def _policies_or_none(role):
    return re.findall(r"policy/([A-Za-z0-9_/-]+)", json.dumps(role["Properties"].get("ManagedPolicyArns", [])))
