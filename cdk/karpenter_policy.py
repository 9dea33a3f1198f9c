"""What Karpenter's controller may do: what its own documentation grants, tied to one cluster by tags.

Source: karpenter.sh, v1.14, reference/cloudformation. Left out is zonal shift, which is switched off.
"""

from collections.abc import Sequence

from aws_cdk import Aws
from aws_cdk import aws_iam as iam

_Conditions = dict[str, dict[str, str | list[str]]]

_NODE_POOL, _NODE_CLASS = "karpenter.sh/nodepool", "karpenter.k8s.aws/ec2nodeclass"
_CLUSTER_NAME, _REGION = "eks:eks-cluster-name", "topology.kubernetes.io/region"
_MADE = ("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")
"""What a launch makes, and what is tagged in it."""
_USED = ("security-group", "subnet", "capacity-reservation", "placement-group")
"""What of the account a launch uses."""
_DESCRIBED = (
    "CapacityReservations",
    "Images",
    "InstanceStatus",
    "InstanceTypeOfferings",
    "InstanceTypes",
    "Instances",
    "LaunchTemplates",
    "PlacementGroups",
    "SecurityGroups",
    "SpotPriceHistory",
    "Subnets",
)


class ControllerPolicy:
    """The statements for one cluster.

    Args:
        cluster_name: Its name; a string, since it becomes part of conditions' keys.
        cluster_arn: Its ARN.
        node_role: The role that nodes may be given.
        queue_arn: The interruption queue.
    """

    def __init__(self, *, cluster_name: str, cluster_arn: str, node_role: iam.IRole, queue_arn: str) -> None:
        self._cluster_name = cluster_name
        self._cluster_arn = cluster_arn
        self._node_role = node_role
        self._queue_arn = queue_arn
        self._owned = f"kubernetes.io/cluster/{cluster_name}"

    @property
    def statements(self) -> list[iam.PolicyStatement]:
        """All of them."""
        return [*self._launching(), *self._owning(), *self._instance_profiles(), *self._reading()]

    def _launching(self) -> list[iam.PolicyStatement]:
        """Launch from anything of the account's, but make only what carries the cluster's tags."""
        launch = ["ec2:RunInstances", "ec2:CreateFleet"]
        used = [_ec2("image", account=""), _ec2("snapshot", account=""), *map(_ec2, _USED)]
        made = [_ec2(kind) for kind in _MADE]
        new = self._tags("Request", _NODE_POOL, {_CLUSTER_NAME: self._cluster_name})
        while_making = {"ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]}
        tagging: _Conditions = {**new, "StringEquals": {**new["StringEquals"], **while_making}}
        return [
            _allow(launch, used),
            _allow(launch, [_ec2("launch-template")], self._tags("Resource", _NODE_POOL)),
            _allow([*launch, "ec2:CreateLaunchTemplate"], made, new),
            _allow(["ec2:CreateTags"], made, tagging),
        ]

    def _owning(self) -> list[iam.PolicyStatement]:
        """Name and end what carries the cluster's tags."""
        naming: _Conditions = {
            **self._tags("Resource", _NODE_POOL),
            "StringEqualsIfExists": {f"aws:RequestTag/{_CLUSTER_NAME}": self._cluster_name},
            "ForAllValues:StringEquals": {"aws:TagKeys": [_CLUSTER_NAME, "karpenter.sh/nodeclaim", "Name"]},
        }
        return [
            _allow(["ec2:CreateTags"], [_ec2("instance")], naming),
            _allow(
                ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
                [_ec2("instance"), _ec2("launch-template")],
                self._tags("Resource", _NODE_POOL),
            ),
        ]

    def _instance_profiles(self) -> list[iam.PolicyStatement]:
        profiles = [f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:instance-profile/*"]
        here = {_REGION: Aws.REGION}
        new = self._tags("Request", _NODE_CLASS, {_CLUSTER_NAME: self._cluster_name, **here})
        own = self._tags("Resource", _NODE_CLASS, here)
        both = {test: {**own[test], **new[test]} for test in new}
        # China has its own name for this service; elsewhere the suffix is that of all service principals.
        nodes: _Conditions = {"StringEquals": {"iam:PassedToService": f"ec2.{Aws.URL_SUFFIX}"}}
        return [
            _allow(["iam:PassRole"], [self._node_role.role_arn], nodes),
            _allow(["iam:CreateInstanceProfile"], profiles, new),
            _allow(["iam:TagInstanceProfile"], profiles, both),
            _allow(
                ["iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"],
                profiles,
                own,
            ),
            _allow(["iam:GetInstanceProfile"], profiles),
            _allow(["iam:ListInstanceProfiles"], ["*"]),
        ]

    def _reading(self) -> list[iam.PolicyStatement]:
        parameters = f"arn:{Aws.PARTITION}:ssm:{Aws.REGION}::parameter/aws/service/*"
        in_region: _Conditions = {"StringEquals": {"aws:RequestedRegion": Aws.REGION}}
        return [
            _allow(["eks:DescribeCluster"], [self._cluster_arn]),
            _allow(["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], [self._queue_arn]),
            _allow([f"ec2:Describe{what}" for what in _DESCRIBED], ["*"], in_region),
            _allow(["ssm:GetParameter"], [parameters]),
            _allow(["pricing:GetProducts"], ["*"]),
        ]

    def _tags(self, of: str, any_value: str, values: dict[str, str] | None = None) -> _Conditions:
        """Conditions on tags of the request or the resource: the cluster's own, one with any value, and ``values``."""
        tag = f"aws:{of}Tag/"
        equal = {self._owned: "owned", **(values or {})}
        return {
            "StringEquals": {f"{tag}{key}": value for key, value in equal.items()},
            "StringLike": {f"{tag}{any_value}": "*"},
        }


def _allow(
    actions: Sequence[str], resources: Sequence[str], conditions: _Conditions | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)


def _ec2(kind: str, account: str = "*") -> str:
    return f"arn:{Aws.PARTITION}:ec2:{Aws.REGION}:{account}:{kind}/*"
