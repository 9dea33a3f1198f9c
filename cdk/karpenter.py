"""Karpenter, which buys nodes when pods wait for one, and gives them back."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.cluster import Cluster
from cdk.interruption import InterruptionQueue
from cdk.karpenter_policy import ControllerPolicy
from cdk.nag import acknowledge_wildcards
from cdk.node_group import node_role
from cdk.pod_identity import PodIdentity
from cdk.versions import KARPENTER, KARPENTER_CRD, KARPENTER_IMAGE

_NAMESPACE = "kube-system"
_NAME = "karpenter"
_TIMEOUT = Duration.minutes(10)
_RESOURCES = {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}


class Karpenter(Construct):
    """The controller, twice, on the cluster's own nodes; its resource types; and what it may do.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        cluster: Where it runs, and which nodes it adds.
        mirror: Where copies of charts and images are (``versions.Chart.location``); None takes them from where they are
            published.

    Attributes:
        cluster: The cluster.
        node_role: The role of the nodes that it launches.
        interruption: How it hears of interruptions.
        identity: What the controller may do.
        crd_release: Its resource types, as a Helm release of their own.
        release: The controller's Helm release.
    """

    def __init__(self, scope: Construct, construct_id: str, *, cluster: Cluster, mirror: str | None = None) -> None:
        super().__init__(scope, construct_id)
        self.cluster = cluster
        self.interruption = InterruptionQueue(self, "Interruption")
        self.node_role = node_role(self, "NodeRole", description="Nodes that Karpenter launches")
        access = eks.AccessEntry(
            self,
            "NodeAccess",
            cluster=cluster.cluster,
            principal=self.node_role.role_arn,
            access_policies=[],
            access_entry_type=eks.AccessEntryType.EC2_LINUX,
        )
        self.identity = self._identity()
        self.crd_release = eks.HelmChart(
            self,
            "Crds",
            cluster=cluster.cluster,
            release=KARPENTER_CRD.name,
            namespace=_NAMESPACE,
            create_namespace=False,
            wait=True,
            timeout=_TIMEOUT,
            **KARPENTER_CRD.location(mirror),
        )
        self.crd_release.node.add_dependency(cluster.ready)
        self.release = eks.HelmChart(
            self,
            "Release",
            cluster=cluster.cluster,
            release=_NAME,
            namespace=_NAMESPACE,
            create_namespace=False,
            wait=True,
            timeout=_TIMEOUT,
            values=_values(cluster.name, self.interruption.queue, mirror),
            **KARPENTER.location(mirror),
        )
        # At removal, too, the controller must be the first to go: it needs all of these to end its nodes.
        self.release.node.add_dependency(self.crd_release, self.identity, self.interruption, access)

    def _identity(self) -> PodIdentity:
        statements = ControllerPolicy(
            cluster_name=self.cluster.name,
            cluster_arn=self.cluster.cluster.cluster_arn,
            node_role=self.node_role,
            queue_arn=self.interruption.queue.queue_arn,
        ).statements
        identity = PodIdentity(
            self,
            "Identity",
            cluster=self.cluster.cluster,
            namespace=_NAMESPACE,
            service_account=_NAME,
            description="Karpenter: launches and ends nodes",
            statements=statements,
        )
        acknowledge_wildcards(
            identity.role,
            statements,
            "Nodes are not known before they are made; conditions tie what is made, tagged and ended to this cluster.",
        )
        return identity


def _values(cluster_name: str, queue: sqs.Queue, mirror: str | None) -> dict[str, Any]:
    controller: dict[str, Any] = {"resources": _RESOURCES}
    if mirror is not None:
        # A copy has a digest of its own.
        controller["image"] = {"repository": f"{mirror}/{KARPENTER_IMAGE}", "digest": ""}
    return {
        "replicas": 2,
        "serviceAccount": {"name": _NAME},
        "settings": {"clusterName": cluster_name, "interruptionQueue": queue.queue_name},
        "controller": controller,
    }
