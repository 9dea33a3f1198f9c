"""The network, as its template says it."""

import pytest
from infrakit.stacks import KEY_ARN, NAME, SETTINGS, platform


def subnets(stack, kind):
    """Properties and tags of the public or the private subnets."""
    for subnet in stack.properties("AWS::EC2::Subnet").values():
        tags = {tag["Key"]: tag["Value"] for tag in subnet["Tags"]}
        if tags["aws-cdk:subnet-type"] == kind:
            yield subnet, tags


@pytest.mark.parametrize("kind", ["Public", "Private"])
def test_each_of_three_zones_has_a_public_and_a_private_subnet_with_an_eighth_of_the_addresses(stack, kind):
    found = [subnet for subnet, _ in subnets(stack, kind)]
    assert {subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in found} == {0, 1, 2}
    assert all(subnet["CidrBlock"].endswith("/19") for subnet in found)
    assert len({subnet["CidrBlock"] for subnet in found}) == 3
    assert not any(subnet.get("MapPublicIpOnLaunch") for subnet in found)


@pytest.mark.parametrize("kind", ["Public", "Private"])
def test_subnets_stand_in_the_zones_given_by_id_or_by_name(configured, kind):
    names = ["us-east-1a", "us-east-1b", "us-east-1d"]
    by_name = platform(vpc={"availabilityZones": names})
    ids = SETTINGS["vpc"]["availabilityZones"]
    for stack, key, zones in ((configured, "AvailabilityZoneId", ids), (by_name, "AvailabilityZone", names)):
        found = [subnet for subnet, _ in subnets(stack, kind)]
        assert [subnet[key] for subnet in found] == zones
        assert all(len({"AvailabilityZone", "AvailabilityZoneId"} & subnet.keys()) == 1 for subnet in found)


def test_a_smaller_network_has_smaller_subnets_and_fewer_nat_gateways_where_the_settings_say_so(stack, configured):
    assert all(subnet["CidrBlock"].endswith("/23") for subnet, _ in subnets(configured, "Private"))
    assert [len(each.of_type("AWS::EC2::NatGateway")) for each in (stack, configured)] == [3, 1]


@pytest.mark.parametrize(
    ("kind", "karpenter", "role"),
    [("Public", None, "kubernetes.io/role/elb"), ("Private", NAME, "kubernetes.io/role/internal-elb")],
)
def test_tags_say_where_karpenter_and_load_balancers_go(stack, kind, karpenter, role):
    for _, tags in subnets(stack, kind):
        assert (tags.get("karpenter.sh/discovery"), tags.get(role)) == (karpenter, "1")


def test_models_and_jobs_do_not_pass_the_nat_gateways_and_no_endpoint_is_paid_for_by_the_hour(stack):
    private = {
        association["RouteTableId"]["Ref"]
        for name, association in stack.properties("AWS::EC2::SubnetRouteTableAssociation").items()
        if "Private" in name
    }
    endpoints = stack.properties("AWS::EC2::VPCEndpoint").values()
    assert {one["ServiceName"]["Fn::Join"][1][-1] for one in endpoints} == {".s3", ".dynamodb"}
    for endpoint in endpoints:
        assert endpoint["VpcEndpointType"] == "Gateway"
        assert private <= {table["Ref"] for table in endpoint["RouteTableIds"]}


def test_the_default_security_group_lets_nothing_through(stack):
    _, closer = stack.only("Custom::VpcRestrictDefaultSG")
    assert closer["DefaultSecurityGroupId"]["Fn::GetAtt"][1] == "DefaultSecurityGroup"


def test_all_flows_are_logged_to_a_group_that_forgets_and_has_the_operators_key(configured):
    _, flows = configured.only("AWS::EC2::FlowLog")
    group = configured.resources[flows["LogGroupName"]["Ref"]]["Properties"]
    assert (flows["TrafficType"], group["RetentionInDays"], group["KmsKeyId"]) == ("ALL", 30, KEY_ARN)
