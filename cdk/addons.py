"""EKS add-ons that runtimes rely on: models as files, and what CloudWatch sees of the cluster."""

from constructs import Construct

from cdk.addon import PodIdentity, add_on
from cdk.cluster import EksCluster
from cdk.context import Context, allow, owned_by

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
        identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            service_account="amazon-cloudwatch/cloudwatch-agent",
            description="CloudWatch's agents: write metrics and logs",
            statements=[allow(["ec2:DescribeTags", "ec2:DescribeVolumes"], ["*"])],
        )
        identity.accept_wildcards("EC2 has no permission for single volumes and tags.")
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


class ModelFiles(Construct):
    """Mountpoint for S3, which shows the model bucket, or the folder of it that the configuration names, as files.

    It reads the bucket as itself (authenticationSource ``driver``), not as the pods that mount it: so model servers see
    models and have no rights of their own, and one role reads the bucket, read-only, however many runtimes there are.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, cluster: EksCluster) -> None:
        super().__init__(scope, construct_id)
        bucket, prefix = context.config.models, context.config.models_prefix
        owned = owned_by(context.config.bucket_accounts)
        within = f"{prefix or ''}*"
        listed = owned if prefix is None else {**owned, "StringLike": {"s3:prefix": within}}
        identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            service_account="kube-system/s3-csi-driver-sa",
            description="Mountpoint for S3: reads models",
            statements=[
                allow(["s3:ListBucket"], [bucket], listed),
                allow(["s3:GetObject"], [f"{bucket}/{within}"], owned),
                *context.key_statements("s3", actions=["kms:Decrypt"]),
            ],
        )
        identity.accept_wildcards("Reads every model, whatever its name, of one bucket or one of its folders.")
        identity.node.add_dependency(cluster.ready)
        add_on(
            self,
            "Driver",
            cluster=cluster.cluster,
            name="aws-mountpoint-s3-csi-driver",
            after=identity,
            configuration={"node": {"tolerateAllTaints": True}},  # GPU nodes have taints
        )
