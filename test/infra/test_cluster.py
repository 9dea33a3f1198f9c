"""The cluster, its administrators and its own nodes, as the template says it."""

import json
import re

import pytest
from infrakit.stacks import HELM_CHART, KEY_ARN, NAME

ADMIN = "arn:aws:iam::123456789012:role/admin"


@pytest.fixture(scope="module")
def cluster(stack):
    return stack.only("AWS::EKS::Cluster")[1]


@pytest.fixture(scope="module")
def nodes(stack):
    return stack.only("AWS::EKS::Nodegroup")[1]


@pytest.fixture(scope="module")
def launch_template(stack):
    return stack.only("AWS::EC2::LaunchTemplate")[1]["LaunchTemplateData"]


def add_on(stack, name):
    """Logical id of an add-on."""
    return stack.only("AWS::EKS::Addon", AddonName=name)[0]


def policies(stack, role):
    """Names of AWS's own policies that a role has."""
    return set(re.findall(r":policy/([\w-]+)", json.dumps(stack.resources[role]["Properties"])))


def admin_role(stack):
    return next(name for name in stack.of_type("AWS::IAM::Role") if name.startswith("ClusterAdminRole"))


def test_only_access_entries_let_anyone_in_and_whoever_deploys_gets_none(cluster):
    assert cluster["AccessConfig"] == {
        "AuthenticationMode": "API",
        "BootstrapClusterCreatorAdminPermissions": False,
    }


def test_the_cluster_has_its_name_and_version_and_auto_mode_is_off(stack, cluster, nodes):
    assert cluster["Name"] == NAME
    assert cluster["Version"] == nodes["Version"] == stack.config.cluster.version
    assert cluster["ComputeConfig"] == {"Enabled": False}
    assert cluster["BootstrapSelfManagedAddons"] is False


def test_all_logs_of_the_control_plane_are_kept_for_as_long_as_the_setting_says(stack, cluster):
    name, group = stack.only("AWS::Logs::LogGroup", LogGroupName=f"/aws/eks/{NAME}/cluster")
    kinds = {kind["Type"] for kind in cluster["Logging"]["ClusterLogging"]["EnabledTypes"]}
    assert kinds == {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert group["RetentionInDays"] == 30
    assert name in stack.needs(stack.only("AWS::EKS::Cluster")[0])


def test_no_function_logs_for_ever(stack):
    for name, function in stack.properties("AWS::Lambda::Function").items():
        group = function.get("LoggingConfig", {}).get("LogGroup")
        assert group, f"{name} logs to Lambda's own group"
        assert stack.resources[group["Ref"]]["Properties"]["RetentionInDays"] == 30


def test_the_public_endpoint_is_open_to_the_networks_of_the_settings_alone(cluster, configured):
    opened = cluster["ResourcesVpcConfig"]
    assert (opened["EndpointPublicAccess"], opened["PublicAccessCidrs"]) == (True, ["0.0.0.0/0"])
    shut = configured.only("AWS::EKS::Cluster")[1]["ResourcesVpcConfig"]
    assert shut["EndpointPublicAccess"] is False
    assert opened["EndpointPrivateAccess"] is shut["EndpointPrivateAccess"] is True


def test_helm_reaches_the_control_plane_from_the_private_subnets(stack):
    [handler] = [
        function
        for name, function in stack.properties("AWS::Lambda::Function").items()
        if name.startswith("ClusterKubectlProviderHandler")
    ]
    assert all("Private" in subnet["Ref"] for subnet in handler["VpcConfig"]["SubnetIds"])


def test_secrets_are_encrypted_with_the_operators_key(configured):
    [encryption] = configured.only("AWS::EKS::Cluster")[1]["EncryptionConfig"]
    assert encryption == {"Provider": {"KeyArn": KEY_ARN}, "Resources": ["secrets"]}


def test_the_account_alone_may_assume_the_administrators_role_which_may_do_nothing_in_aws(stack):
    role = admin_role(stack)
    [statement] = stack.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    account = statement["Principal"]["AWS"]["Fn::Join"][1]
    assert account[-1] == ":root"
    assert {"Ref": "AWS::AccountId"} in account
    assert (stack.statements(role), policies(stack, role)) == ([], set())


def test_administrators_of_the_settings_administer_the_cluster(configured):
    [policy] = configured.only("AWS::EKS::AccessEntry", PrincipalArn=ADMIN)[1]["AccessPolicies"]
    assert policy["AccessScope"] == {"Type": "cluster"}
    assert policy["PolicyArn"]["Fn::Join"][1][-1].endswith("/AmazonEKSClusterAdminPolicy")


def test_two_small_bottlerocket_nodes_on_demand_without_taints_run_the_components(nodes):
    assert nodes["AmiType"] == "BOTTLEROCKET_x86_64"
    assert (nodes["CapacityType"], nodes["InstanceTypes"]) == ("ON_DEMAND", ["m5.large"])
    assert nodes["ScalingConfig"]["DesiredSize"] == nodes["ScalingConfig"]["MinSize"] == 2
    assert all("Private" in subnet["Ref"] for subnet in nodes["Subnets"])
    assert "Taints" not in nodes  # no add-on must tolerate one


def test_pods_cannot_become_their_node(launch_template):
    assert launch_template["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def test_the_disks_of_nodes_are_encrypted_and_go_with_them(launch_template):
    disks = launch_template["BlockDeviceMappings"]
    assert [disk["DeviceName"] for disk in disks] == ["/dev/xvda", "/dev/xvdb"]
    assert all(disk["Ebs"]["Encrypted"] and disk["Ebs"]["DeleteOnTermination"] for disk in disks)


def test_nodes_may_join_and_pull_images_and_nothing_else(stack, nodes):
    role = nodes["NodeRole"]["Fn::GetAtt"][0]
    assert policies(stack, role) == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}
    assert stack.statements(role) == []
    # EC2 is trusted under the name that it has in each partition.
    [statement] = stack.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"]["Service"] == {"Fn::Join": ["", ["ec2.", {"Ref": "AWS::URLSuffix"}]]}


def test_only_nodes_and_the_control_plane_reach_nodes(stack):
    nodes, group = stack.only("AWS::EC2::SecurityGroup", GroupDescription=f"Nodes of cluster {NAME}")
    sources = [
        rule["SourceSecurityGroupId"]["Fn::GetAtt"]
        for rule in stack.properties("AWS::EC2::SecurityGroupIngress").values()
        if rule["GroupId"] == {"Fn::GetAtt": [nodes, "GroupId"]}
    ]
    control_plane = [stack.only("AWS::EKS::Cluster")[0], "ClusterSecurityGroupId"]
    assert sorted(sources) == sorted([[nodes, "GroupId"], control_plane])
    assert "SecurityGroupIngress" not in group


@pytest.mark.parametrize("kind", ["AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress"])
def test_no_rule_lets_the_whole_internet_in(stack, kind):
    for one in stack.properties(kind).values():
        rules = [one, *one.get("SecurityGroupIngress", [])]
        assert not [rule for rule in rules if rule.get("CidrIp") == "0.0.0.0/0" or "CidrIpv6" in rule]


def test_karpenter_finds_the_security_group_of_the_nodes_alone(stack):
    tagged = [
        group["GroupDescription"]
        for group in stack.properties("AWS::EC2::SecurityGroup").values()
        if {"Key": "karpenter.sh/discovery", "Value": NAME} in group.get("Tags", [])
    ]
    assert tagged == [f"Nodes of cluster {NAME}"]


def test_network_policies_are_enforced_by_a_network_with_rights_of_its_own(stack):
    cni = stack.resources[add_on(stack, "vpc-cni")]["Properties"]
    assert json.loads(cni["ConfigurationValues"]) == {"enableNetworkPolicy": "true"}
    assert policies(stack, stack.identity("aws-node")) == {"AmazonEKS_CNI_Policy"}


def test_nodes_come_after_what_makes_them_ready_then_names_and_then_charts(stack):
    nodes, names = stack.only("AWS::EKS::Nodegroup")[0], add_on(stack, "coredns")
    before = {add_on(stack, name) for name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")}
    assert before <= stack.needs(nodes)
    assert nodes in stack.needs(names)
    charts = stack.of_type(HELM_CHART)
    assert charts
    assert all(names in stack.needs(chart) for chart in charts)
