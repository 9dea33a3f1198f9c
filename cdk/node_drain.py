"""Removal without orphans: Karpenter stays until its last node is gone."""

from pathlib import Path

from aws_cdk import Aws, CustomResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct

from cdk.cdk_provider import acknowledge_framework
from cdk.karpenter import Karpenter
from cdk.log_group import log_group
from cdk.nag import acknowledge, acknowledge_wildcards
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

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        karpenter: Whose nodes.
        log_retention: How long logs are kept.
        key: The operator's key, for the logs; None leaves them to CloudWatch's own.

    Attributes:
        resource: The custom resource that waits.
        role: What the function may do that looks, and at last ends nodes.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        karpenter: Karpenter,
        log_retention: logs.RetentionDays,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._log_retention = log_retention
        self._key = key
        cluster, node_role = karpenter.cluster.name, karpenter.node_role
        grants = _grants(cluster, node_role)
        ask = self._function("is_complete", grants)
        self.role = ask.role
        acknowledge_wildcards(self.role, grants, "Nodes are not known beforehand; tags tie them to this cluster.")
        provider = self._provider(self._function("on_event", []), ask)
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::KarpenterNodeDrain",
            service_token=provider.service_token,
            properties={"ClusterName": cluster, "NodeRole": node_role.role_name},
        )
        self.resource.node.add_dependency(karpenter)

    def _function(self, handler: str, grants: list[iam.PolicyStatement]) -> PythonFunction:
        return PythonFunction(
            self,
            handler.title().replace("_", ""),
            code=lambda_.Code.from_asset(str(_CODE), exclude=["__pycache__"]),
            handler=f"handler.{handler}",
            description="When the platform is removed: waits until Karpenter has ended its nodes",
            environment={},
            timeout=Duration.minutes(1),
            memory_mib=256,
            grants=grants,
            log_retention=self._log_retention,
            key=self._key,
        )

    def _provider(self, start: PythonFunction, ask: PythonFunction) -> cr.Provider:
        provider = cr.Provider(
            self,
            "Provider",
            on_event_handler=start.function,
            is_complete_handler=ask.function,
            query_interval=_ASK_EVERY,
            total_timeout=_GIVE_UP_AFTER,
            log_group=log_group(self, "ProviderLog", retention=self._log_retention, key=self._key),
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
    return [
        iam.PolicyStatement(actions=["ec2:DescribeInstances"], resources=["*"]),
        iam.PolicyStatement(
            actions=["ec2:TerminateInstances"],
            resources=[f"arn:{Aws.PARTITION}:ec2:{Aws.REGION}:{Aws.ACCOUNT_ID}:instance/*"],
            conditions={**owned, "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"}},
        ),
        iam.PolicyStatement(actions=["iam:ListInstanceProfilesForRole"], resources=[role.role_arn]),
        iam.PolicyStatement(
            actions=["iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"],
            resources=[f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:instance-profile/*"],
            conditions=owned,
        ),
    ]
