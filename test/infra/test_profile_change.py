"""What CloudFormation does when a deployed stack gets another profile: an update, in which one thing is replaced."""

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

CHANGES = [("lean", "standard"), ("lean", "stack"), ("standard", "stack")]
HOLD_SOMETHING = (
    *("AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup", "AWS::EKS::Cluster", "AWS::DynamoDB::Table"),
    *("AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::ApiKey", "AWS::IAM::Role"),
)


def fixed(kind):
    """Properties of a type that cannot change: CloudFormation makes another resource."""
    if kind.startswith("Custom::"):
        return set()
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return {path.split("/")[2] for path in schema.get("createOnlyProperties", ())}


@pytest.mark.parametrize(("one", "other"), CHANGES)
def test_a_change_of_profile_replaces_the_node_group_alone(one, other, request):
    before, after = (request.getfixturevalue(name).resources for name in (one, other))
    replaced = {
        resource["Type"]
        for name, resource in before.items()
        if name in after
        for key in fixed(resource["Type"])
        if resource.get("Properties", {}).get(key) != after[name].get("Properties", {}).get(key)
    }
    assert replaced == {"AWS::EKS::Nodegroup"}


@pytest.mark.parametrize(("one", "other"), CHANGES)
def test_nothing_that_holds_something_comes_or_goes_with_a_profile(one, other, request):
    kept = [
        {name for name in request.getfixturevalue(stack).of_type(*HOLD_SOMETHING) if "Runtime" not in name}
        for stack in (one, other)
    ]
    assert {name for name in kept[0] ^ kept[1] if not name.startswith(("Insights", "NetworkVpcFlows"))} == set()
