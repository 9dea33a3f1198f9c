"""The cluster's own nodes hold its components by what they request: memory, CPU, and pods."""

from pathlib import Path

import pytest
from aws_cdk import aws_ec2 as ec2

from configuration.config import parse_config
from configuration.images import has_arm_nodes
from configuration.quantities import amount

ROOT = Path(__file__).parents[2]
TYPES = {"t4g.small": (2, 2048, 3, 4), "t4g.medium": (2, 4096, 3, 6), "m5.large": (2, 8192, 3, 10)}
"""vCPUs, MiB, network interfaces, IPv4 addresses of each (Karpenter 1.14.1, zz_generated.vpclimits.go)."""
DAEMONS = {
    # amazon-vpc-cni-k8s, config/master/aws-k8s-cni.yaml: the CNI and the agent of network policies.
    "vpc-cni": [("aws-node", 50, 0)],
    "kube-proxy": [("kube-proxy", 100, 0)],
    "eks-pod-identity-agent": [("eks-pod-identity-agent", 0, 0)],
    # mountpoint-s3-csi-driver 2.7, its chart's values: three containers.
    "aws-mountpoint-s3-csi-driver": [("s3-csi-node", 30, 120)],
    # aws-observability/helm-charts 6.4.0; DCGM's exporter is on GPU nodes alone.
    "amazon-cloudwatch-observability": [("cloudwatch-agent", 250, 128), ("fluent-bit", 50, 25)],
    "coredns": [],
}
"""By add-on, what it runs on every node: millicores and MiB that it requests."""
DEPLOYMENTS = {
    "coredns": [("coredns", 2, 100, 70)],  # kubernetes 1.36, cluster/addons/dns/coredns
    "aws-mountpoint-s3-csi-driver": [("s3-csi-controller", 1, 0, 0)],
    "amazon-cloudwatch-observability": [("controller-manager", 1, 100, 64)],
}
"""By add-on, what it runs besides: pods, and what each requests."""
MANAGED_POD_MIB = 512 + 256
"""Of a managed runtime: its budget (configuration/release_values.py), and what the chart adds (_queue-agent.tpl)."""
KEDA = (100, 100)
"""Of each of its three Deployments, whose requests are left at the chart's own (kedacore/charts)."""


def allocatable(instance_type):
    """Millicores, MiB and pods, as Karpenter 1.14.1 computes them (instancetype/types.go), on the safe side."""
    vcpus, mib, interfaces, addresses = TYPES[instance_type]
    pods = interfaces * (addresses - 1) + 2
    # 7.5 % for the hypervisor; what Bottlerocket keeps for the kubelet; where the kubelet begins to evict.
    return vcpus * 1000 - 70, mib * 0.925 - (255 + 11 * pods) - 100, pods


def requests(resources):
    asked = resources["requests"]
    return float(amount(asked["cpu"]) * 1000), float(amount(asked["memory"]) / 2**20)


def components(stack):
    """What runs on every node, and the pods besides: (name, millicores, MiB)."""
    add_ons = [one["AddonName"] for one in stack.properties("AWS::EKS::Addon").values()]
    daemons = [daemon for name in add_ons for daemon in DAEMONS[name]]
    pods = [
        (name, *each) for add_on in add_ons for name, count, *each in DEPLOYMENTS.get(add_on, ()) for _ in range(count)
    ]
    karpenter, keda = stack.releases["karpenter"]["Values"], stack.releases["keda"]["Values"]
    pods += [("karpenter", *requests(karpenter["controller"]["resources"]))] * karpenter["replicas"]
    assert "resources" not in keda
    pods += [("keda", *KEDA)] * (keda["operator"]["replicaCount"] + keda["metricsServer"]["replicaCount"] + 1)
    for name in ("collector", "scaler"):
        deployment = stack.manifest(name)[1]["Deployment"]["spec"]
        (container,) = deployment["template"]["spec"]["containers"]
        pods += [(name, *requests(container["resources"]))] * deployment["replicas"]
    if "amazon-cloudwatch-observability" not in add_ons:
        (container,) = stack.manifest("fluent-bit")[1]["DaemonSet"]["spec"]["template"]["spec"]["containers"]
        daemons.append(("fluent-bit", *requests(container["resources"])))
    return daemons, pods


def left_out(stack, nodes):
    """The pods for which so many nodes have no room, the largest placed first; no two of Karpenter's on one node."""
    daemons, pods = components(stack)
    room = allocatable(stack.config.cluster.system_nodes.instance_type)
    taken = [[sum(one[1] for one in daemons), sum(one[2] for one in daemons), len(daemons)] for _ in range(nodes)]
    holds_karpenter, without = set(), []
    for name, *each in sorted(pods, key=lambda pod: -pod[2]):
        asked = (*each, 1)
        fitting = (
            node
            for node, its in enumerate(taken)
            if all(used + more <= most for used, more, most in zip(its, asked, room, strict=True))
            and not (name == "karpenter" and node in holds_karpenter)
        )
        node = next(fitting, None)
        if node is None:
            without.append(name)
            continue
        taken[node] = [used + more for used, more in zip(taken[node], asked, strict=True)]
        if name == "karpenter":
            holds_karpenter.add(node)
    return without


@pytest.mark.parametrize("profile", ["lean", "standard", "stack"])
def test_the_system_nodes_hold_all_components_also_when_one_of_them_is_lost(profile, request):
    stack = request.getfixturevalue(profile)
    count = stack.config.cluster.system_nodes.count
    assert left_out(stack, count) == []
    second = ["karpenter"] if count == 2 else []  # whose replicas stand on different nodes: it waits for the new one
    assert left_out(stack, count - 1) == second


def test_a_size_less_or_a_node_less_would_not_hold_them(lean, standard, monkeypatch):
    monkeypatch.setitem(TYPES, "t4g.medium", TYPES["t4g.small"])
    assert set(left_out(lean, 1)) - {"karpenter"}
    monkeypatch.undo()
    assert set(left_out(standard, 1)) - {"karpenter"}  # of two nodes, one lost


@pytest.mark.parametrize(("profile", "name"), [("lean", "lean"), ("standard", "standard"), ("stack", "resilient")])
def test_the_page_of_managed_runtimes_says_how_many_of_their_pods_find_room_beside_them(profile, name, request):
    stack = request.getfixturevalue(profile)
    nodes = stack.config.cluster.system_nodes
    daemons, pods = components(stack)
    # Spread evenly, as the scheduler does.
    taken_mib = sum(one[2] for one in daemons) + sum(one[2] for one in pods) / nodes.count
    left_mib = allocatable(nodes.instance_type)[1] - taken_mib
    page = (ROOT / "docs" / "managed.md").read_text(encoding="utf-8")
    assert f"{int(left_mib // MANAGED_POD_MIB) * nodes.count} with `{name}`" in page
    assert f"requests {MANAGED_POD_MIB} MiB" in page


@pytest.mark.parametrize(
    "name", ["t4g.medium", "m7g.large", "c7gn.large", "im4gn.large", "a1.large", "m5.large", "c6i.large"]
)
def test_the_image_of_agents_is_for_the_processor_that_the_node_group_has(name):
    """CDK chooses Bottlerocket's image by its own rule, ``has_arm_nodes`` that of the pods."""
    runtime = {"name": "a", "type": "comfyui"}
    nodes = {"cluster": {"systemNodes": {"instanceType": name}}, "modelBucketArn": "arn:aws:s3:::models"}
    config = parse_config({"stackName": "test", "modelsRuntime": [runtime], **nodes})
    is_arm = ec2.InstanceType(name).architecture is ec2.InstanceArchitecture.ARM_64
    assert has_arm_nodes(config) == is_arm
