"""Models as files on the cluster."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk.addon import add_on
from cdk.bucket_owner import owned_by
from cdk.cluster import Cluster
from cdk.nag import acknowledge_wildcards
from cdk.pod_identity import PodIdentity


class ModelFiles(Construct):
    """Mountpoint for S3, which shows the model bucket to pods as files.

    It reads the bucket as itself (authenticationSource ``driver``), not as the pods that mount it: so model servers see
    models and have no rights of their own, and one role reads the bucket, read-only, however many runtimes there are.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        cluster: Where it runs.
        bucket_arn: The model bucket.
        bucket_accounts: Accounts besides this one that may own it.
        prefix: Folder of the bucket that is mounted, ending in a slash; None is the whole bucket.
        key: The operator's key, with which the bucket may be encrypted.

    Attributes:
        identity: What it may read.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: Cluster,
        bucket_arn: str,
        bucket_accounts: Sequence[str] = (),
        prefix: str | None,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        statements = [*_reading(bucket_arn, prefix, owned_by(bucket_accounts)), *_decrypting(key)]
        self.identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            namespace="kube-system",
            service_account="s3-csi-driver-sa",
            description="Mountpoint for S3: reads models",
            statements=statements,
        )
        acknowledge_wildcards(
            self.identity.role, statements, "Reads every model, whatever its name, of one bucket or one of its folders."
        )
        self.identity.node.add_dependency(cluster.ready)
        add_on(
            self,
            "Driver",
            cluster=cluster.cluster,
            name="aws-mountpoint-s3-csi-driver",
            after=self.identity,
            configuration={"node": {"tolerateAllTaints": True}},  # GPU nodes have taints
        )


def _reading(bucket_arn: str, prefix: str | None, owned: dict[str, Any]) -> list[iam.PolicyStatement]:
    within = f"{prefix or ''}*"
    listed = owned if prefix is None else {**owned, "StringLike": {"s3:prefix": within}}
    return [
        iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket_arn], conditions=listed),
        iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"{bucket_arn}/{within}"], conditions=owned),
    ]


def _decrypting(key: kms.IKey | None) -> list[iam.PolicyStatement]:
    if key is None:
        return []
    through_s3 = {"StringEquals": {"kms:ViaService": f"s3.{Aws.REGION}.{Aws.URL_SUFFIX}"}}
    return [iam.PolicyStatement(actions=["kms:Decrypt"], resources=[key.key_arn], conditions=through_s3)]
