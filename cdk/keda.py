"""KEDA, which starts and stops pods by the length of their queues."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.addon import PodIdentity
from cdk.cluster import EksCluster
from cdk.collector import ENDPOINT
from cdk.context import Context
from cdk.versions import KEDA

_NAMESPACE = "keda"
_OPERATOR = "keda-operator"
_METRICS_SERVER = "keda-operator-metrics-apiserver"


class Keda(Construct):
    """The operator, which may read the attributes of the queues that it watches, and do nothing else."""

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, cluster: EksCluster) -> None:
        super().__init__(scope, construct_id)
        self._identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            service_account=f"{_NAMESPACE}/{_OPERATOR}",
            description="KEDA: looks at the depth of queues",
        )
        self.release = eks.HelmChart(
            self,
            "Release",
            cluster=cluster.cluster,
            release=KEDA.name,
            namespace=_NAMESPACE,
            create_namespace=True,
            wait=True,
            timeout=Duration.minutes(10),
            values=_values(context),
            **KEDA.location(context.config.mirror_registry),
        )
        self.release.node.add_dependency(cluster.ready, self._identity)

    def watch(self, queue: sqs.IQueue) -> None:
        """Let the operator see how many messages a queue holds."""
        queue.grant(self._identity.role, "sqs:GetQueueAttributes")


def _values(context: Context) -> dict[str, Any]:
    mirror = context.config.mirror_registry
    return {
        "clusterName": context.name,
        "image": {"pullPolicy": "IfNotPresent"},
        "global": {} if mirror is None else {"image": {"registry": mirror}},
        "serviceAccount": {"operator": {"name": _OPERATOR}},
        "opentelemetry": {"operator": {"enabled": True}, "collector": {"uri": ENDPOINT}},
        # The second of each takes over when the first one's node goes; scaling pauses for seconds only.
        "topologySpreadConstraints": {"operator": _apart(_OPERATOR), "metricsServer": _apart(_METRICS_SERVER)},
        "operator": {"replicaCount": 2},
        "metricsServer": {"replicaCount": 2},
        "podDisruptionBudget": {"operator": {"maxUnavailable": 1}, "metricServer": {"maxUnavailable": 1}},
    }


def _apart(app: str) -> list[dict[str, Any]]:
    """Let the pods of a Deployment run on different nodes where there are two."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": app}},
            "matchLabelKeys": ["pod-template-hash"],
        }
    ]
