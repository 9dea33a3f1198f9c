"""Where the agents' traces and metrics go: an OpenTelemetry collector in the cluster."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from aws_cdk import Stack
from constructs import Construct

from cdk.addon import PodIdentity
from cdk.cluster import EksCluster
from cdk.context import Context, allow
from cdk.metrics import DIMENSIONS, JOBS, RETRIES, SCALING_DIMENSIONS, SCALING_ERRORS
from cdk.versions import COLLECTOR_IMAGE, COLLECTOR_VERSION, PUBLIC_REGISTRY

ENDPOINT = "http://collector.observability.svc:4318"
"""Where agents and KEDA send to, by OTLP over HTTP."""

_FOLDER = Path(__file__).parent
_MEMORY_MIB = 256


class TelemetryCollector(Construct):
    """A collector that takes OTLP over HTTP and sends traces to X-Ray, and metrics to CloudWatch through its logs.

    Percentiles need agents that send exponential histograms of what came since the last time: an explicit histogram
    reaches CloudWatch as no more than sum, count, minimum and maximum. There is one replica, because what it makes of
    another sender's running totals depends on what it saw of them before. While it is replaced, agents try again.

    Attributes:
        manifest: The collector itself, which does not stand below this construct but below the cluster.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, cluster: EksCluster) -> None:
        super().__init__(scope, construct_id)
        # Carries the metrics; CloudWatch keeps them for 15 months, however long the log is kept.
        log = context.log_group(self, "Metrics")
        identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            service_account="observability/collector",
            description="The OpenTelemetry collector",
            statements=[
                allow(["xray:PutTraceSegments"], ["*"]),
                allow(["logs:CreateLogStream", "logs:PutLogEvents"], [log.log_group_arn]),
            ],
        )
        identity.accept_wildcards("X-Ray's PutTraceSegments knows no resources; nothing else is granted on all.")
        registry = context.config.mirror_registry or PUBLIC_REGISTRY
        environment = {
            "AOT_CONFIG_CONTENT": json.dumps(collector_config()),
            "AWS_REGION": Stack.of(self).region,
            "GOMEMLIMIT": f"{_MEMORY_MIB * 4 // 5}MiB",
            "METRICS_LOG_GROUP": log.log_group_name,
            "METRICS_NAMESPACE": context.name,
        }
        manifests = _manifests(f"{registry}/{COLLECTOR_IMAGE}:{COLLECTOR_VERSION}", environment)
        self.manifest = cluster.cluster.add_manifest("Collector", *manifests)
        # Pods that start before they have an identity get no credentials, and none later.
        self.manifest.node.add_dependency(identity)


def _manifests(image: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    manifests: list[dict[str, Any]] = _read("collector_manifests.yaml")
    [deployment] = [one for one in manifests if one["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["image"] = image
    container["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    return manifests


def collector_config() -> dict[str, Any]:
    """The collector's configuration, the same in every deployment."""
    config: dict[str, Any] = _read("collector_config.yaml")
    config["exporters"]["awsemf"] |= {
        "metric_declarations": [
            {"metric_name_selectors": [f"^{re.escape(name)}"], "dimensions": [list(names) for names in sets]}
            for name, sets in {**DIMENSIONS, SCALING_ERRORS: (SCALING_DIMENSIONS,)}.items()
        ],
        # {job} and {retry} are no units of CloudWatch's, which refuses a metric with an unknown one; KEDA gives none.
        "metric_descriptors": [
            {"metric_name": name, "unit": "Count", "overwrite": True} for name in (JOBS, RETRIES, SCALING_ERRORS)
        ],
    }
    return config


def _read(name: str) -> Any:
    return yaml.safe_load((_FOLDER / name).read_text(encoding="utf-8"))
