"""The network, as its template says it."""

import pytest
from aws_cdk import App
from aws_cdk import aws_logs as logs
from aws_cdk.assertions import Template
from infrakit.cluster import NAME, closed_cluster, open_cluster
from infrakit.platform import KEY_ARN

from cdk.network import Network
from cdk.three_zones import ThreeZoneStack
from configuration.platform import Vpc


@pytest.fixture(scope="module")
def network():
    return open_cluster()


@pytest.fixture(scope="module")
def small_network(template_of):
    def build(stack):
        settings = Vpc.model_validate({"cidr": "192.168.16.0/20", "natGateways": 1})
        Network(
            stack, "Network", settings=settings, cluster_name="c", log_retention=logs.RetentionDays.ONE_DAY, key=None
        )

    return template_of(build)


def _subnets(network, kind):
    """Properties and tags of the public or the private subnets."""
    for subnet in network.of_type("AWS::EC2::Subnet").values():
        tags = {tag["Key"]: tag["Value"] for tag in subnet["Properties"]["Tags"]}
        if tags["aws-cdk:subnet-type"] == kind:
            yield subnet["Properties"], tags


@pytest.mark.parametrize("kind", ["Public", "Private"])
def test_each_of_three_zones_has_a_public_and_a_private_subnet_with_an_eighth_of_the_addresses(network, kind):
    subnets = [subnet for subnet, _ in _subnets(network, kind)]
    assert {subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in subnets} == {0, 1, 2}
    assert all(subnet["CidrBlock"].endswith("/19") for subnet in subnets)
    assert len({subnet["CidrBlock"] for subnet in subnets}) == 3


@pytest.mark.parametrize(
    ("zones", "key"),
    [
        (["use1-az1", "use1-az2", "use1-az4"], "AvailabilityZoneId"),
        (["us-east-1a", "us-east-1b", "us-east-1d"], "AvailabilityZone"),
    ],
)
def test_subnets_stand_in_the_zones_given_by_id_or_by_name(zones, key):
    app = App()
    stack = ThreeZoneStack(app, "Test", zones=zones)
    Network(stack, "Network", settings=Vpc(), cluster_name="c", log_retention=logs.RetentionDays.ONE_DAY, key=None)
    subnets = Template.from_stack(stack).find_resources("AWS::EC2::Subnet").values()
    for kind in ("Public", "Private"):
        of_kind = [
            one["Properties"]
            for one in subnets
            if {"Key": "aws-cdk:subnet-type", "Value": kind} in one["Properties"]["Tags"]
        ]
        assert [one[key] for one in of_kind] == zones
    assert all(len({"AvailabilityZone", "AvailabilityZoneId"} & one["Properties"].keys()) == 1 for one in subnets)


def test_a_smaller_network_has_smaller_subnets(small_network):
    small_network.has_resource_properties("AWS::EC2::VPC", {"CidrBlock": "192.168.16.0/20"})
    small_network.has_resource_properties("AWS::EC2::Subnet", {"CidrBlock": "192.168.16.0/23"})


def test_karpenter_finds_the_private_subnets_and_only_those(network):
    assert {tags.get("karpenter.sh/discovery") for _, tags in _subnets(network, "Private")} == {NAME}
    assert {tags.get("karpenter.sh/discovery") for _, tags in _subnets(network, "Public")} == {None}


@pytest.mark.parametrize(
    ("kind", "role"), [("Public", "kubernetes.io/role/elb"), ("Private", "kubernetes.io/role/internal-elb")]
)
def test_subnets_say_which_load_balancers_belong_into_them(network, kind, role):
    assert {tags.get(role) for _, tags in _subnets(network, kind)} == {"1"}


def test_nothing_gets_a_public_address_by_standing_in_a_subnet(network):
    assert not any(
        subnet["Properties"].get("MapPublicIpOnLaunch") for subnet in network.of_type("AWS::EC2::Subnet").values()
    )


def test_each_zone_has_a_nat_gateway_by_default(network):
    assert len(network.of_type("AWS::EC2::NatGateway")) == 3


def test_fewer_nat_gateways_are_made_where_the_setting_says_so(small_network):
    small_network.resource_count_is("AWS::EC2::NatGateway", 1)


@pytest.mark.parametrize("service", ["s3", "dynamodb"])
def test_models_and_jobs_do_not_pass_the_nat_gateways(network, service):
    private = {
        association["Properties"]["RouteTableId"]["Ref"]
        for name, association in network.of_type("AWS::EC2::SubnetRouteTableAssociation").items()
        if "Private" in name
    }
    endpoints = [
        endpoint["Properties"]
        for endpoint in network.of_type("AWS::EC2::VPCEndpoint").values()
        if endpoint["Properties"]["ServiceName"]["Fn::Join"][1][-1] == f".{service}"
    ]
    assert [endpoint["VpcEndpointType"] for endpoint in endpoints] == ["Gateway"]
    assert private <= {table["Ref"] for table in endpoints[0]["RouteTableIds"]}


def test_no_endpoint_is_paid_for_by_the_hour(network):
    assert len(network.of_type("AWS::EC2::VPCEndpoint")) == 2  # both gateways


def test_the_default_security_group_lets_nothing_through(network):
    _, closed = network.only("Custom::VpcRestrictDefaultSG")
    assert closed["Properties"]["DefaultSecurityGroupId"]["Fn::GetAtt"][1] == "DefaultSecurityGroup"


def test_all_flows_are_logged_to_a_group_that_forgets(network):
    _, flows = network.only("AWS::EC2::FlowLog")
    group = network.template["Resources"][flows["Properties"]["LogGroupName"]["Ref"]]["Properties"]
    assert flows["Properties"]["TrafficType"] == "ALL"
    assert group["RetentionInDays"] == 30


def test_the_flow_log_is_encrypted_with_the_operators_key():
    keyed = closed_cluster()
    _, flows = keyed.only("AWS::EC2::FlowLog")
    group = keyed.template["Resources"][flows["Properties"]["LogGroupName"]["Ref"]]["Properties"]
    assert group["KmsKeyId"] == KEY_ARN
