"""What Karpenter's controller may do: what its own documentation grants, tied to one cluster by tags.

Source: karpenter.sh, v1.14, reference/cloudformation. Left out is zonal shift, which is switched off.
"""

from aws_cdk import Aws
from aws_cdk import aws_iam as iam

from cdk.context import allow

_Conditions = dict[str, dict[str, str | list[str]]]

_NODE_POOL, _NODE_CLASS = "karpenter.sh/nodepool", "karpenter.k8s.aws/ec2nodeclass"
_CLUSTER_NAME, _REGION = "eks:eks-cluster-name", "topology.kubernetes.io/region"
_MADE = ("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")
"""What a launch makes, and what is tagged in it."""
_USED = ("security-group", "subnet", "capacity-reservation", "placement-group")
"""What of the account a launch uses."""
_DESCRIBED = (
    *("CapacityReservations", "Images", "InstanceStatus", "InstanceTypeOfferings", "InstanceTypes", "Instances"),
    *("LaunchTemplates", "PlacementGroups", "SecurityGroups", "SpotPriceHistory", "Subnets"),
)


def controller_statements(
    *, cluster_name: str, cluster_arn: str, node_role: iam.IRole, queue_arn: str
) -> list[iam.PolicyStatement]:
    """Give the statements for one cluster, whose name is a string and no token: it becomes part of conditions' keys."""
    return [
        *_launching(cluster_name),
        *_owning(cluster_name),
        *_instance_profiles(cluster_name, node_role),
        *_reading(cluster_arn, queue_arn),
    ]


def _launching(cluster: str) -> list[iam.PolicyStatement]:
    """Launch from anything of the account's, but make only what carries the cluster's tags."""
    launch = ["ec2:RunInstances", "ec2:CreateFleet"]
    used = [_ec2("image", account=""), _ec2("snapshot", account=""), *map(_ec2, _USED)]
    made = [_ec2(kind) for kind in _MADE]
    new = _tags("Request", cluster, _NODE_POOL, {_CLUSTER_NAME: cluster})
    while_making = {"ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]}
    tagging: _Conditions = {**new, "StringEquals": {**new["StringEquals"], **while_making}}
    return [
        allow(launch, used),
        allow(launch, [_ec2("launch-template")], _tags("Resource", cluster, _NODE_POOL)),
        allow([*launch, "ec2:CreateLaunchTemplate"], made, new),
        allow(["ec2:CreateTags"], made, tagging),
    ]


def _owning(cluster: str) -> list[iam.PolicyStatement]:
    """Name and end what carries the cluster's tags."""
    own = _tags("Resource", cluster, _NODE_POOL)
    naming: _Conditions = {
        **own,
        "StringEqualsIfExists": {f"aws:RequestTag/{_CLUSTER_NAME}": cluster},
        "ForAllValues:StringEquals": {"aws:TagKeys": [_CLUSTER_NAME, "karpenter.sh/nodeclaim", "Name"]},
    }
    ended = [_ec2("instance"), _ec2("launch-template")]
    return [
        allow(["ec2:CreateTags"], [_ec2("instance")], naming),
        allow(["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"], ended, own),
    ]


def _instance_profiles(cluster: str, node_role: iam.IRole) -> list[iam.PolicyStatement]:
    profiles = [f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:instance-profile/*"]
    here = {_REGION: Aws.REGION}
    new = _tags("Request", cluster, _NODE_CLASS, {_CLUSTER_NAME: cluster, **here})
    own = _tags("Resource", cluster, _NODE_CLASS, here)
    both = {test: {**own[test], **new[test]} for test in new}
    # China has its own name for this service; elsewhere the suffix is that of all service principals.
    nodes: _Conditions = {"StringEquals": {"iam:PassedToService": f"ec2.{Aws.URL_SUFFIX}"}}
    changes = ["iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"]
    return [
        allow(["iam:PassRole"], [node_role.role_arn], nodes),
        allow(["iam:CreateInstanceProfile"], profiles, new),
        allow(["iam:TagInstanceProfile"], profiles, both),
        allow(changes, profiles, own),
        allow(["iam:GetInstanceProfile"], profiles),
        allow(["iam:ListInstanceProfiles"], ["*"]),
    ]


def _reading(cluster_arn: str, queue_arn: str) -> list[iam.PolicyStatement]:
    parameters = f"arn:{Aws.PARTITION}:ssm:{Aws.REGION}::parameter/aws/service/*"
    in_region: _Conditions = {"StringEquals": {"aws:RequestedRegion": Aws.REGION}}
    return [
        allow(["eks:DescribeCluster"], [cluster_arn]),
        allow(["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], [queue_arn]),
        allow([f"ec2:Describe{what}" for what in _DESCRIBED], ["*"], in_region),
        allow(["ssm:GetParameter"], [parameters]),
        allow(["pricing:GetProducts"], ["*"]),
    ]


def _tags(of: str, cluster: str, any_value: str, values: dict[str, str] | None = None) -> _Conditions:
    """Conditions on tags of the request or the resource: the cluster's own, one with any value, and ``values``."""
    tag = f"aws:{of}Tag/"
    equal = {f"kubernetes.io/cluster/{cluster}": "owned", **(values or {})}
    return {
        "StringEquals": {f"{tag}{key}": value for key, value in equal.items()},
        "StringLike": {f"{tag}{any_value}": "*"},
    }


def _ec2(kind: str, account: str = "*") -> str:
    return f"arn:{Aws.PARTITION}:ec2:{Aws.REGION}:{account}:{kind}/*"
