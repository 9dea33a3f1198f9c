"""The EKS add-on that runtimes rely on: models as files."""

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.addon import PodIdentity, add_on
from cdk.cluster import EksCluster
from cdk.context import Context, allow, owned_by


def model_statements(context: Context) -> list[iam.PolicyStatement]:
    """What reads the models: those of the bucket, or of the folder in it that the configuration names."""
    bucket, prefix = context.config.models, context.config.models_prefix
    owned = owned_by(context.config.bucket_accounts)
    within = f"{prefix or ''}*"
    listed = owned if prefix is None else {**owned, "StringLike": {"s3:prefix": within}}
    return [allow(["s3:ListBucket"], [bucket], listed), allow(["s3:GetObject"], [f"{bucket}/{within}"], owned)]


class ModelFiles(Construct):
    """Mountpoint for S3, which shows the model bucket, or the folder of it that the configuration names, as files.

    It reads the bucket as itself (authenticationSource ``driver``), not as the pods that mount it: so model servers see
    models and have no rights of their own, and one role reads the bucket, read-only, however many runtimes there are.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, cluster: EksCluster) -> None:
        super().__init__(scope, construct_id)
        identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            service_account="kube-system/s3-csi-driver-sa",
            description="Mountpoint for S3: reads models",
            statements=[*model_statements(context), *context.key_statements("s3", actions=["kms:Decrypt"])],
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
