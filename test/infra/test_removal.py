"""CloudFormation removes first what nothing depends on: it must be the runtimes, and nothing that they still need."""

import re

import pytest
from infrakit.stacks import NAMES, example

RULES = ("AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
POLICIES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy")
WAYS = (
    *("AWS::EC2::Route", "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::NatGateway", "AWS::EC2::VPCEndpoint"),
    "AWS::EC2::VPCGatewayAttachment",
)
ON_THE_CLUSTER = ("Custom::AWSCDK-EKS-HelmChart", "Custom::AWSCDK-EKS-KubernetesResource")


def referred(value):
    """Logical ids that a part of a template refers to."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [name, *_]}:
            yield name
        case {"Fn::Sub": [str(text), _] | str(text)}:
            yield from (name.partition(".")[0] for name in re.findall(r"\$\{([^}!]+)\}", text))
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from referred(part)


class Order:
    """What a template's resources come after, and so are removed before."""

    def __init__(self, template):
        self.resources = template["Resources"]
        self._directly = {name: self._before(one) for name, one in self.resources.items()}

    def _before(self, resource):
        named = resource.get("DependsOn", [])
        names = {named} if isinstance(named, str) else set(named)
        return (names | set(referred(resource.get("Properties", {})))) & self.resources.keys()

    def needs(self, name):
        """All that outlives a resource."""
        seen, ahead = set(), [name]
        while ahead:
            new = self._directly[ahead.pop()] - seen
            ahead += new
            seen |= new
        return seen

    def of(self, *kinds):
        return {name for name, one in self.resources.items() if one["Type"] in kinds}

    def leaves(self):
        """What is removed at once, before anything else."""
        return self.resources.keys() - set().union(*self._directly.values())

    def policies_of(self, role):
        """The policies of its own that a role has; ``role`` is its logical id."""
        return {name for name in self.of(*POLICIES) if role in self._directly[name]}

    def release(self, name):
        [found] = [
            one
            for one in self.of("Custom::AWSCDK-EKS-HelmChart")
            if self.resources[one]["Properties"]["Release"] == name
        ]
        return found


@pytest.fixture(params=NAMES)
def stack(request):
    return example(request.param)


@pytest.fixture
def order(stack):
    return Order(stack.template)


def test_no_rule_policy_or_way_of_a_running_thing_is_removed_first(order):
    rights = ("AWS::EKS::PodIdentityAssociation", "AWS::EKS::AccessEntry")
    assert order.leaves() & order.of(*RULES, *POLICIES, *WAYS, *rights) == set()


def test_the_runtimes_are_the_first_to_leave_the_cluster(stack, order):
    runtimes = {order.release(runtime.name) for runtime in stack.config.models_runtime}
    assert order.leaves() & order.of(*ON_THE_CLUSTER) == runtimes


def test_the_network_outlives_everything_that_runs_on_the_cluster(order):
    network = order.of(*RULES, *WAYS)
    for name in order.of(*ON_THE_CLUSTER, "Custom::KarpenterNodeDrain", "AWS::EKS::Nodegroup"):
        assert network <= order.needs(name), name


def test_whatever_waits_for_a_pods_role_waits_for_what_the_role_may_do(order):
    for association in order.of("AWS::EKS::PodIdentityAssociation"):
        role = order.resources[association]["Properties"]["RoleArn"]["Fn::GetAtt"][0]
        users = [name for name in order.resources if association in order.needs(name)]
        assert users, association
        assert all(order.policies_of(role) <= order.needs(name) for name in users), association


def test_a_function_is_removed_before_its_rights(order):
    for name in order.of("AWS::Lambda::Function"):
        role = order.resources[name]["Properties"]["Role"]["Fn::GetAtt"][0]
        assert order.policies_of(role) <= order.needs(name), name


def test_nodes_are_gone_before_the_add_ons_that_their_pods_use_and_before_kubectl(order):
    [drain] = order.of("Custom::KarpenterNodeDrain")
    assert order.of("AWS::EKS::Addon", "AWS::EKS::AccessEntry") <= order.needs(drain)
