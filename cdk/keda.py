"""KEDA, which starts and stops pods by the depth of their queues."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.cluster import Cluster
from cdk.pod_identity import PodIdentity
from cdk.versions import KEDA

_NAMESPACE = "keda"
_OPERATOR = "keda-operator"
_METRICS_SERVER = "keda-operator-metrics-apiserver"
_TIMEOUT = Duration.minutes(10)


class Keda(Construct):
    """The operator, which may look at the queues that it is shown, and at nothing else.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        cluster: Where it runs.
        otlp_endpoint: Where it sends its metrics, by OTLP over HTTP.
        mirror: Where copies of charts and images are (``versions.Chart.location``); None takes them from where they are
            published.

    Attributes:
        operator_role: What the operator may do.
        release: The Helm release.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: Cluster,
        otlp_endpoint: str,
        mirror: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            namespace=_NAMESPACE,
            service_account=_OPERATOR,
            description="KEDA: looks at the depth of queues",
            statements=[],
        )
        self.operator_role: iam.Role = identity.role
        self.release = eks.HelmChart(
            self,
            "Release",
            cluster=cluster.cluster,
            release=KEDA.name,
            namespace=_NAMESPACE,
            create_namespace=True,
            wait=True,
            timeout=_TIMEOUT,
            values=_values(cluster.name, otlp_endpoint, mirror),
            **KEDA.location(mirror),
        )
        self.release.node.add_dependency(cluster.ready, identity)

    def watch(self, queue: sqs.IQueue) -> None:
        """Let the operator see how many messages a queue holds."""
        queue.grant(self.operator_role, "sqs:GetQueueAttributes")


def _values(cluster_name: str, otlp_endpoint: str, mirror: str | None) -> dict[str, Any]:
    return {
        "clusterName": cluster_name,
        "image": {"pullPolicy": "IfNotPresent"},
        "global": {} if mirror is None else {"image": {"registry": mirror}},
        "serviceAccount": {"operator": {"name": _OPERATOR}},
        "opentelemetry": {"operator": {"enabled": True}, "collector": {"uri": otlp_endpoint}},
        # The second of each takes over when the first one's node goes; scaling pauses for seconds only.
        "topologySpreadConstraints": {"operator": _apart(_OPERATOR), "metricsServer": _apart(_METRICS_SERVER)},
        "operator": {"replicaCount": 2},
        "metricsServer": {"replicaCount": 2},
        "podDisruptionBudget": {"operator": {"maxUnavailable": 1}, "metricServer": {"maxUnavailable": 1}},
    }


def _apart(app: str) -> list[dict[str, Any]]:
    """Let the pods of a Deployment stand on different nodes where there are two."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": app}},
            "matchLabelKeys": ["pod-template-hash"],
        }
    ]
