"""What CloudWatch sees of the cluster."""

from constructs import Construct

from cdk.addon import PodIdentity, add_on
from cdk.cluster import EksCluster
from cdk.context import Context, allow
from cdk.nag import acknowledge_wildcards

_KINDS_OF_LOGS = ("application", "dataplane", "host", "performance")
_CONFIGURATION = {
    "agent": {"config": {"logs": {"metrics_collected": {"kubernetes": {"enhanced_container_insights": True}}}}},
    "manager": {"applicationSignals": {"autoMonitor": {"monitorAllServices": False}}},
}


class Insights(Construct):
    """CloudWatch's agents: metrics of the cluster, GPUs among them (DCGM), and the logs of all pods.

    Application Signals, which would rewrite every Python pod, is off. The add-on's own defaults tolerate all taints.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, cluster: EksCluster) -> None:
        super().__init__(scope, construct_id)
        # The agents decide the names. Groups that they make themselves never expire.
        folder = f"/aws/containerinsights/{context.name}"
        logs = [context.log_group(self, f"{kind.title()}Log", name=f"{folder}/{kind}") for kind in _KINDS_OF_LOGS]
        describe = allow(["ec2:DescribeTags", "ec2:DescribeVolumes"], ["*"])
        identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            service_account="amazon-cloudwatch/cloudwatch-agent",
            description="CloudWatch's agents: write metrics and logs",
            statements=[describe],
        )
        acknowledge_wildcards(identity.role, [describe], "EC2 has no permission for single volumes and tags.")
        for group in logs:
            group.grant_write(identity.role)
        identity.node.add_dependency(cluster.ready, *logs)
        add_on(
            self,
            "Agents",
            cluster=cluster.cluster,
            name="amazon-cloudwatch-observability",
            after=identity,
            configuration=_CONFIGURATION,
        )
