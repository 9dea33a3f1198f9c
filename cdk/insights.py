"""What CloudWatch gets of the cluster: the logs of all pods, and what its agents measure."""

from pathlib import Path
from typing import Any

import yaml
from aws_cdk import Stack
from aws_cdk import aws_logs as logs
from constructs import Construct, IDependable

from cdk.addon import PodIdentity, add_on
from cdk.cluster import EksCluster
from cdk.context import Context, allow
from cdk.versions import LOG_SHIPPER_IMAGE, LOG_SHIPPER_VERSION, PUBLIC_REGISTRY

_MEASURED = ("dataplane", "host", "performance")
_CONFIGURATION = {
    "agent": {"config": {"logs": {"metrics_collected": {"kubernetes": {"enhanced_container_insights": True}}}}},
    "manager": {"applicationSignals": {"autoMonitor": {"monitorAllServices": False}}},
}
_FOLDER = Path(__file__).parent


class Insights(Construct):
    """CloudWatch's agents: metrics of the cluster, GPUs among them (DCGM), and the logs of all pods; or the logs alone.

    Application Signals, which would rewrite every Python pod, is off. The add-on's own defaults tolerate all taints.
    Its Fluent Bit does not start without its CloudWatch agent, whose certificates it mounts (chart 6.4.0,
    fluent-bit-daemonset.yaml), so where nothing is measured a Fluent Bit of ours ships the logs, to the same group.

    Attributes:
        shippers: What ships the logs. It stands below the cluster where it is ours.
    """

    def __init__(self, scope: Construct, construct_id: str, *, context: Context, cluster: EksCluster) -> None:
        super().__init__(scope, construct_id)
        self._context, self._cluster = context, cluster
        application = self._log("application")
        is_measured = context.config.monitoring.container_insights == "enhanced"
        self.shippers = self._agents(application) if is_measured else self._fluent_bit(application)

    def _log(self, kind: str) -> logs.LogGroup:
        # The add-on's agents decide the names. Groups that they make themselves never expire.
        name = f"/aws/containerinsights/{self._context.name}/{kind}"
        return self._context.log_group(self, f"{kind.title()}Log", name=name)

    def _agents(self, application: logs.ILogGroup) -> IDependable:
        groups = [application, *map(self._log, _MEASURED)]
        identity = PodIdentity(
            self,
            "Identity",
            cluster=self._cluster.cluster,
            service_account="amazon-cloudwatch/cloudwatch-agent",
            description="CloudWatch's agents: write metrics and logs",
            statements=[allow(["ec2:DescribeTags", "ec2:DescribeVolumes"], ["*"])],
        )
        identity.accept_wildcards("EC2 has no permission for single volumes and tags.")
        for group in groups:
            group.grant_write(identity.role)
        identity.node.add_dependency(self._cluster.ready, *groups)
        return add_on(
            self,
            "Agents",
            cluster=self._cluster.cluster,
            name="amazon-cloudwatch-observability",
            after=identity,
            configuration=_CONFIGURATION,
        )

    def _fluent_bit(self, application: logs.ILogGroup) -> IDependable:
        identity = PodIdentity(
            self,
            "LogsIdentity",
            cluster=self._cluster.cluster,
            service_account="pod-logs/fluent-bit",
            description="Fluent Bit: writes the logs of all pods",
        )
        application.grant_write(identity.role)
        registry = self._context.config.mirror_registry or PUBLIC_REGISTRY
        environment = {"AWS_REGION": Stack.of(self).region, "LOG_GROUP": application.log_group_name}
        manifests = _manifests(f"{registry}/{LOG_SHIPPER_IMAGE}:{LOG_SHIPPER_VERSION}", environment)
        manifest = self._cluster.cluster.add_manifest("PodLogs", *manifests)
        # Pods that start before they have an identity get no credentials, and none later.
        manifest.node.add_dependency(identity, self._cluster.ready)
        return manifest


def _manifests(image: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    text = (_FOLDER / "pod_logs_manifests.yaml").read_text(encoding="utf-8")
    manifests: list[dict[str, Any]] = list(yaml.safe_load(text))
    [daemons] = [one for one in manifests if one["kind"] == "DaemonSet"]
    [container] = daemons["spec"]["template"]["spec"]["containers"]
    container["image"] = image
    container["env"] += [{"name": name, "value": value} for name, value in environment.items()]
    return manifests
