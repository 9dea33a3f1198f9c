"""Karpenter, which launches nodes when pods wait for one, and terminates them."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.addon import PodIdentity
from cdk.cluster import EksCluster
from cdk.context import Context
from cdk.karpenter_policy import controller_statements
from cdk.nag import acknowledge
from cdk.node_group import node_role
from cdk.versions import KARPENTER, KARPENTER_CRD, KARPENTER_IMAGE

_NAMESPACE = "kube-system"
_NAME = "karpenter"
_RESOURCES = {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}
_INTERRUPTIONS = {
    "SpotInterruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "RebalanceRecommendation": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "InstanceStateChange": ("aws.ec2", "EC2 Instance State-change Notification"),
    "ScheduledChange": ("aws.health", "AWS Health Event"),
    "CapacityReservationInterruption": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
"""Source and detail-type of what Karpenter 1.14 handles (its website, reference/cloudformation)."""


class KarpenterController(Construct):
    """The controller, twice, on the cluster's own nodes; its resource types; and what it may do.

    ``node_role`` is the role of the nodes that it launches.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, cluster: EksCluster) -> None:
        super().__init__(scope, construct_id)
        self.cluster = cluster
        interruption = InterruptionQueue(self, "Interruption")
        self.node_role = node_role(self, "NodeRole", description="Nodes that Karpenter launches")
        access = eks.AccessEntry(
            self,
            "NodeAccess",
            cluster=cluster.cluster,
            principal=self.node_role.role_arn,
            access_policies=[],
            access_entry_type=eks.AccessEntryType.EC2_LINUX,
        )
        identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            service_account=f"{_NAMESPACE}/{_NAME}",
            description="Karpenter: launches and ends nodes",
            statements=controller_statements(
                cluster_name=context.name,
                cluster_arn=cluster.cluster.cluster_arn,
                node_role=self.node_role,
                queue_arn=interruption.queue.queue_arn,
            ),
        )
        identity.accept_wildcards(
            "Nodes are not known before they are made; conditions tie what is made and ended to this cluster."
        )
        common: dict[str, Any] = {
            "cluster": cluster.cluster,
            "namespace": _NAMESPACE,
            "create_namespace": False,
            "wait": True,
            "timeout": Duration.minutes(10),
        }
        mirror = context.config.mirror_registry
        resource_types = eks.HelmChart(
            self, "Crds", release=KARPENTER_CRD.name, **common, **KARPENTER_CRD.location(mirror)
        )
        resource_types.node.add_dependency(cluster.ready)
        release = eks.HelmChart(
            self,
            "Release",
            release=_NAME,
            values=_values(context, interruption.queue),
            **common,
            **KARPENTER.location(mirror),
        )
        # At removal, too, the controller must be the first to go: it needs all of these to end its nodes.
        release.node.add_dependency(resource_types, identity, interruption, access)


class InterruptionQueue(Construct):
    """How Karpenter hears that AWS is about to take a node away: a queue, and five rules of EventBridge that fill it.

    SQS's own key encrypts it, whatever key the operator has: EventBridge would need a place in that key's policy, and
    without one warnings would be lost in silence. A message names an instance, and lives five minutes.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.minutes(5),
        )
        acknowledge(self.queue, "AwsSolutions-SQS3", "A warning that could not be handled is worthless minutes later.")
        for name, (source, detail_type) in _INTERRUPTIONS.items():
            events.Rule(
                self,
                name,
                event_pattern=events.EventPattern(source=[source], detail_type=[detail_type]),
                targets=[targets.SqsQueue(self.queue)],
            )


def _values(context: Context, queue: sqs.Queue) -> dict[str, Any]:
    controller: dict[str, Any] = {"resources": _RESOURCES}
    if context.config.mirror_registry is not None:
        # A copy has a digest of its own.
        controller["image"] = {"repository": f"{context.config.mirror_registry}/{KARPENTER_IMAGE}", "digest": ""}
    return {
        "replicas": 2,
        "serviceAccount": {"name": _NAME},
        "settings": {"clusterName": context.name, "interruptionQueue": queue.queue_name},
        "controller": controller,
    }
