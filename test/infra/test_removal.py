"""CloudFormation removes first what nothing depends on: it must be the runtimes, and nothing that they still need."""

import pytest
from infrakit.stacks import CONFIGS, HELM_CHART, NAMES, example

from configuration.file import load_config

RULES = ("AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
POLICIES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy")
RIGHTS = ("AWS::EKS::PodIdentityAssociation", "AWS::EKS::AccessEntry")
WAYS = (
    *("AWS::EC2::Route", "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::NatGateway", "AWS::EC2::VPCEndpoint"),
    "AWS::EC2::VPCGatewayAttachment",
)
ON_THE_CLUSTER = (HELM_CHART, "Custom::AWSCDK-EKS-KubernetesResource")


@pytest.fixture(params=[name for name in NAMES if load_config(CONFIGS / f"{name}.yaml").has_cluster])
def stack(request):
    return example(request.param)


def ids(stack, *kinds):
    return set(stack.of_type(*kinds))


def leaves(stack, *kinds):
    """What of some types is removed at once, before anything else."""
    return ids(stack, *kinds) - set().union(*stack.before.values())


def policies_of(stack, role):
    """The policies of its own that a role has; ``role`` is its logical id."""
    return {name for name in ids(stack, *POLICIES) if role in stack.before[name]}


def test_no_rule_policy_or_way_of_a_running_thing_is_removed_first(stack):
    assert leaves(stack, *RULES, *POLICIES, *WAYS, *RIGHTS) == set()


def test_the_runtimes_are_the_first_to_leave_the_cluster_then_their_nodes_then_karpenter(stack):
    runtimes = {stack.releases[runtime.name]["id"] for runtime in stack.config.models_runtime}
    assert leaves(stack, *ON_THE_CLUSTER) == runtimes
    [drain] = ids(stack, "Custom::KarpenterNodeDrain")
    for runtime in runtimes:
        assert {drain, stack.releases["keda"]["id"]} <= stack.needs(runtime)
    assert stack.releases["karpenter"]["id"] in stack.needs(drain)


def test_the_network_outlives_everything_that_runs_on_the_cluster(stack):
    network = ids(stack, *RULES, *WAYS)
    for name in ids(stack, *ON_THE_CLUSTER, "Custom::KarpenterNodeDrain", "AWS::EKS::Nodegroup"):
        assert network <= stack.needs(name), name


def test_whatever_waits_for_a_pods_role_waits_for_what_the_role_may_do(stack):
    for association in ids(stack, "AWS::EKS::PodIdentityAssociation"):
        role = stack.resources[association]["Properties"]["RoleArn"].removeprefix("${").removesuffix(".Arn}")
        users = [name for name in stack.resources if association in stack.needs(name)]
        assert users, association
        assert all(policies_of(stack, role) <= stack.needs(name) for name in users), association


def test_a_function_is_removed_before_its_rights(stack):
    for name, function in stack.properties("AWS::Lambda::Function").items():
        assert policies_of(stack, function["Role"].removeprefix("${").removesuffix(".Arn}")) <= stack.needs(name), name


def test_nodes_are_gone_before_the_add_ons_that_their_pods_use_and_before_kubectl(stack):
    [drain] = ids(stack, "Custom::KarpenterNodeDrain")
    assert ids(stack, "AWS::EKS::Addon", "AWS::EKS::AccessEntry") <= stack.needs(drain)


def add_on(name):
    return ("AWS::EKS::Addon", {"AddonName": name})


def release(name):
    return (HELM_CHART, {"Release": name})


def identity(account):
    return ("AWS::EKS::PodIdentityAssociation", {"ServiceAccount": account})


def log(name):
    return ("AWS::Logs::LogGroup", {"LogGroupName": name})


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        # Nodes come after what makes them ready, then names, then charts.
        *((("AWS::EKS::Nodegroup", {}), add_on(name)) for name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")),
        (add_on("coredns"), ("AWS::EKS::Nodegroup", {})),
        *((release(name), add_on("coredns")) for name in ("keda", "karpenter-crd")),
        # The controller needs these to the end, to end its nodes.
        (release("karpenter"), release("karpenter-crd")),
        (release("karpenter"), ("AWS::EKS::AccessEntry", {"Type": "EC2_LINUX"})),
        # Pods that start before they have an identity get no credentials, and none later.
        *(
            (release(name), identity(account))
            for name, account in (("karpenter", "karpenter"), ("keda", "keda-operator"))
        ),
        # A log group that its writer makes never expires.
        (("AWS::EKS::Cluster", {}), log("/aws/eks/sdoneksStack/cluster")),
        (add_on("amazon-cloudwatch-observability"), log("/aws/containerinsights/sdoneksStack/performance")),
        # A queue lets its topic in before it is subscribed; an account has a role for logs before a stage logs.
        (
            ("AWS::SNS::Subscription", {"Endpoint": "${Queuesdruntime.Arn}"}),
            ("AWS::SQS::QueuePolicy", {"Queues": ["${Queuesdruntime}"]}),
        ),
        (("AWS::ApiGateway::Stage", {}), ("AWS::ApiGateway::Account", {})),
    ],
)
def test_what_is_needed_comes_first(later, earlier):
    stack = example("minimal")
    (before, _), (after, _) = (stack.only(kind, **wanted) for kind, wanted in (earlier, later))
    assert before in stack.needs(after)


@pytest.mark.parametrize("name", ["collector", "scaler"])
def test_a_component_starts_with_its_identity_and_before_the_runtimes_that_it_serves(name):
    stack = example("minimal")
    component, _ = stack.manifest(name)
    assert stack.only("AWS::EKS::PodIdentityAssociation", ServiceAccount=name)[0] in stack.needs(component)
    for runtime in stack.config.models_runtime:
        assert component in stack.needs(stack.releases[runtime.name]["id"])
