"""What CloudWatch sees of the cluster."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk.addon import add_on
from cdk.cluster import Cluster
from cdk.log_group import log_group
from cdk.nag import acknowledge_wildcards
from cdk.pod_identity import PodIdentity

_KINDS_OF_LOGS = ("application", "dataplane", "host", "performance")
_CONFIGURATION = {
    "agent": {"config": {"logs": {"metrics_collected": {"kubernetes": {"enhanced_container_insights": True}}}}},
    "manager": {"applicationSignals": {"autoMonitor": {"monitorAllServices": False}}},
}


class Insights(Construct):
    """CloudWatch's agents: metrics of the cluster, GPUs among them (DCGM), and the logs of all pods.

    Application Signals, which would rewrite every Python pod, is off. The add-on's own defaults tolerate all taints.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        cluster: Where they run.
        log_retention: How long logs are kept.
        key: The operator's key, for the logs; None leaves them to CloudWatch's own.

    Attributes:
        identity: What the agents may do.
        logs: The log groups, by the last part of their names.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: Cluster,
        log_retention: logs.RetentionDays,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        # The names are the agents'. Groups that they would make themselves are kept for ever.
        self.logs = {
            kind: log_group(
                self,
                f"{kind.title()}Log",
                retention=log_retention,
                key=key,
                name=f"/aws/containerinsights/{cluster.name}/{kind}",
            )
            for kind in _KINDS_OF_LOGS
        }
        describe = iam.PolicyStatement(actions=["ec2:DescribeTags", "ec2:DescribeVolumes"], resources=["*"])
        self.identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            namespace="amazon-cloudwatch",
            service_account="cloudwatch-agent",
            description="CloudWatch's agents: write metrics and logs",
            statements=[describe],
        )
        acknowledge_wildcards(self.identity.role, [describe], "EC2 lets nobody describe single volumes and tags.")
        for group in self.logs.values():
            group.grant_write(self.identity.role)
        self.identity.node.add_dependency(cluster.ready, *self.logs.values())
        add_on(
            self,
            "Agents",
            cluster=cluster.cluster,
            name="amazon-cloudwatch-observability",
            after=self.identity,
            configuration=_CONFIGURATION,
        )
