"""Removal without orphans: Karpenter stays until its last node is gone."""

from pathlib import Path

from aws_cdk import Aws, CustomResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import custom_resources as cr
from constructs import Construct

from cdk.context import Context, allow
from cdk.karpenter import KarpenterController
from cdk.nag import acknowledge, acknowledge_framework, acknowledge_wildcards
from cdk.python_function import PythonFunction

_CODE = Path(__file__).parent / "node_drain_handler"
_ASK_EVERY = Duration.seconds(20)
_GIVE_UP_AFTER = Duration.minutes(45)


class NodeDrain(Construct):
    """Stands between Karpenter and the runtimes, whose releases must depend on it.

    A stack that is deleted, be it from the console, deletes the releases, and with them their node pools; then this
    waits until Karpenter has ended their nodes; only then Karpenter itself goes. Nodes that are still there after a
    quarter of an hour are ended by this. If they come back, because a node pool was left behind, the stack's removal
    fails here, with Karpenter still in place.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, context: Context, karpenter: KarpenterController
    ) -> None:
        super().__init__(scope, construct_id)
        self._context = context
        grants = _grants(context.name, karpenter.node_role)
        ask = self._function("is_complete", grants)
        acknowledge_wildcards(ask.role, grants, "Nodes are not known beforehand; tags tie them to this cluster.")
        provider = self._provider(self._function("on_event", []), ask)
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::KarpenterNodeDrain",
            service_token=provider.service_token,
            properties={"ClusterName": context.name, "NodeRole": karpenter.node_role.role_name},
        )
        self.resource.node.add_dependency(karpenter)

    def _function(self, handler: str, grants: list[iam.PolicyStatement]) -> PythonFunction:
        return PythonFunction(
            self,
            handler.title().replace("_", ""),
            context=self._context,
            description="When the platform is removed: waits until Karpenter has ended its nodes",
            grants=grants,
            code=lambda_.Code.from_asset(str(_CODE), exclude=["__pycache__"]),
            handler=f"handler.{handler}",
            timeout=Duration.minutes(1),
            memory_size=256,
        )

    def _provider(self, start: PythonFunction, ask: PythonFunction) -> cr.Provider:
        provider = cr.Provider(
            self,
            "Provider",
            on_event_handler=start.function,
            is_complete_handler=ask.function,
            query_interval=_ASK_EVERY,
            total_timeout=_GIVE_UP_AFTER,
            log_group=self._context.log_group(self, "ProviderLog"),
            disable_waiter_state_machine_logging=True,
        )
        own = [provider.node.find_child(name) for name in ("framework-isComplete", "framework-onTimeout")]
        acknowledge_framework(provider, start.function, ask.function, *own)
        reason = "Its input holds the signed link that answers CloudFormation, which no log should keep."
        acknowledge(provider, "AwsSolutions-SF1", reason)
        acknowledge(provider, "AwsSolutions-SF2", "It runs once, at removal; both functions are traced.")
        return provider


def _grants(cluster: str, role: iam.IRole) -> list[iam.PolicyStatement]:
    owned = {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster}": "owned"}}
    by_karpenter = {**owned, "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"}}
    instances = f"arn:{Aws.PARTITION}:ec2:{Aws.REGION}:{Aws.ACCOUNT_ID}:instance/*"
    profiles = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:instance-profile/*"
    return [
        allow(["ec2:DescribeInstances"], ["*"]),
        allow(["ec2:TerminateInstances"], [instances], by_karpenter),
        allow(["iam:ListInstanceProfilesForRole"], [role.role_arn]),
        allow(["iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"], [profiles], owned),
    ]
