"""Where the agents' traces and metrics go: an OpenTelemetry collector in the cluster."""

import json
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk.collector_config import HEALTH_PORT, LOG_GROUP_VARIABLE, NAMESPACE_VARIABLE, OTLP_PORT, collector_config
from cdk.log_group import log_group
from cdk.nag import acknowledge
from cdk.pod_identity import PodIdentity
from cdk.versions import COLLECTOR_IMAGE, COLLECTOR_VERSION, PUBLIC_REGISTRY

NAMESPACE = "observability"
_NAME = "collector"
_LABELS = {"app.kubernetes.io/name": _NAME, "app.kubernetes.io/part-of": "sd-on-eks"}
_USER = 4317  # the image's own user, aoc
_MEMORY_MIB = 256


class Collector(Construct):
    """A collector that takes OTLP over HTTP and sends traces to X-Ray, and metrics to CloudWatch through its logs.

    Percentiles need agents that send exponential histograms of what came since the last time: an explicit histogram
    reaches CloudWatch as no more than sum, count, least and most. There is one replica, because what it makes of
    another sender's running totals depends on what it saw of them before. While it is replaced, agents try again.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        cluster: Where it runs.
        log_retention: How long the log that carries the metrics is kept; CloudWatch keeps the metrics for 15 months.
        key: The operator's key, for that log; None leaves it to CloudWatch's own.
        mirror: An OCI registry, and a folder there, that holds a copy of the image under its own name. None pulls it
            from where it is published.

    Attributes:
        endpoint: Where agents send to, as ``http://collector.observability.svc:4318``.
        log_group: The log that carries the metrics.
        role: What the collector may do.
        manifest: The collector itself, which does not stand below this construct but below the cluster.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: eks.ICluster,
        log_retention: logs.RetentionDays,
        key: kms.IKey | None,
        mirror: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.endpoint = f"http://{_NAME}.{NAMESPACE}.svc:{OTLP_PORT}"
        self.log_group = log_group(self, "Metrics", retention=log_retention, key=key)
        identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster,
            namespace=NAMESPACE,
            service_account=_NAME,
            description="The OpenTelemetry collector",
            statements=self._statements(),
        )
        self.role = identity.role
        acknowledge(
            self.role,
            "AwsSolutions-IAM5[Resource::*]",
            "X-Ray's PutTraceSegments knows no resources; nothing else is granted on all.",
        )
        image = f"{mirror or PUBLIC_REGISTRY}/{COLLECTOR_IMAGE}:{COLLECTOR_VERSION}"
        self.manifest = cluster.add_manifest("Collector", *self._manifests(image))
        # Pods that start before they have an identity get no credentials, and none later.
        self.manifest.node.add_dependency(identity)

    def _statements(self) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(actions=["xray:PutTraceSegments"], resources=["*"]),
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log_group.log_group_arn]
            ),
        ]

    def _manifests(self, image: str) -> list[dict[str, Any]]:
        stack = Stack.of(self)
        environment = {
            "AOT_CONFIG_CONTENT": json.dumps(collector_config()),
            "AWS_REGION": stack.region,
            "GOMEMLIMIT": f"{_MEMORY_MIB * 4 // 5}MiB",
            LOG_GROUP_VARIABLE: self.log_group.log_group_name,
            NAMESPACE_VARIABLE: stack.stack_name,
        }
        return [_namespace(), _service_account(), _deployment(image, environment), _service()]


def _metadata(**more: Any) -> dict[str, Any]:
    return {"name": _NAME, "namespace": NAMESPACE, "labels": _LABELS, **more}


def _namespace() -> dict[str, Any]:
    labels = {**_LABELS, "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def _service_account() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(),
        "automountServiceAccountToken": False,
    }


def _service() -> dict[str, Any]:
    port = {"name": "otlp-http", "port": OTLP_PORT, "targetPort": "otlp-http", "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(),
        "spec": {"selector": _LABELS, "ports": [port]},
    }


def _deployment(image: str, environment: dict[str, str]) -> dict[str, Any]:
    pod = {
        "serviceAccountName": _NAME,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(image, environment)],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": pod},
        },
    }


def _container(image: str, environment: dict[str, str]) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/", "port": "health"}}
    return {
        "name": _NAME,
        "image": image,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "ports": [
            {"name": "otlp-http", "containerPort": OTLP_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
        ],
        "readinessProbe": {**probe, "periodSeconds": 5},
        "livenessProbe": {**probe, "initialDelaySeconds": 10, "periodSeconds": 20},
        "resources": {
            "requests": {"cpu": "100m", "memory": f"{_MEMORY_MIB}Mi"},
            "limits": {"memory": f"{_MEMORY_MIB}Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
