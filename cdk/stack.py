"""The platform: it composes capabilities, lets them reach each other, and says where they are."""

from collections.abc import Mapping

from aws_cdk import App, CfnOutput, Fn, Stack, Validations
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from cdk_nag import AwsSolutionsChecks
from constructs import Construct, IDependable

from cdk.addons import ModelFiles
from cdk.alarms import Alarms
from cdk.cluster import EksCluster
from cdk.collector import TelemetryCollector
from cdk.context import Context
from cdk.dashboard import Dashboard
from cdk.insights import Insights
from cdk.karpenter import KarpenterController
from cdk.keda import Keda
from cdk.managed_runtime import ManagedRuntime
from cdk.network import Network
from cdk.node_drain import NodeDrain
from cdk.runtime import RuntimeRelease
from cdk.sagemaker_endpoint import ModelEndpoint, new_endpoint_of
from cdk.scaler import Scaler, scaled_runtimes
from cdk.task_flow import TaskFlow
from configuration.config import Config
from configuration.platform import ZONES


class PlatformStack(Stack):
    """Everything between an application's request and the picture in the bucket; the cluster has the stack's name.

    Managed runtimes alone have no cluster, and so no network: their agents are functions.
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        self._zones = config.vpc.availability_zones or [Fn.select(index, Fn.get_azs()) for index in range(ZONES)]
        super().__init__(scope, construct_id, description="Asynchronous image generation on Kubernetes")
        key = kms.Key.from_key_arn(self, "Key", config.kms_key_arn) if config.kms_key_arn else None
        context = Context(config=config, key=key)
        self._flow = TaskFlow(self, "Tasks", context=context)
        agents: Mapping[str, lambda_.IFunction] = {}
        if config.has_cluster:
            self._add_cluster(context)
        else:
            agents = {
                runtime.name: ManagedRuntime(
                    self, f"Runtime-{runtime.name}", context=context, runtime=runtime, flow=self._flow
                ).function
                for runtime in config.models_runtime
            }
        for runtime in config.models_runtime:
            if new_endpoint_of(runtime) is not None:
                ModelEndpoint(
                    self, f"Endpoint-{runtime.name}", context=context, runtime=runtime, bucket=self._flow.bucket
                )
        Dashboard(self, "Dashboard", context=context, flow=self._flow, agents=agents)
        Alarms(self, "Alarms", context=context, flow=self._flow, agents=agents)
        self._add_outputs()

    @property
    def availability_zones(self) -> list[str]:
        """The zones in the configuration, or the region's first three, in whatever order CloudFormation has them.

        With a fixed environment CDK would ask the account for its zones at synthesis, without one it would use two.
        """
        return self._zones

    def _add_cluster(self, context: Context) -> None:
        """The cluster, what it offers (models, scaling, nodes, somewhere to send measurements), and its runtimes."""
        network = Network(self, "Network", context=context)
        cluster = EksCluster(self, "Cluster", context=context, network=network)
        models = ModelFiles(self, "ModelFiles", context=context, cluster=cluster)
        insights = Insights(self, "Insights", context=context, cluster=cluster)
        collector = TelemetryCollector(self, "Collector", context=context, cluster=cluster)
        collector.node.add_dependency(cluster.ready)
        keda = Keda(self, "Keda", context=context, cluster=cluster)
        offered: list[IDependable] = [collector.manifest, keda]
        if scaled_runtimes(context.config):
            scaler = Scaler(self, "Scaler", context=context, cluster=cluster, flow=self._flow)
            scaler.node.add_dependency(cluster.ready)
            offered.append(scaler.manifest)
        karpenter = KarpenterController(self, "Karpenter", context=context, cluster=cluster)
        drain = NodeDrain(self, "NodeDrain", context=context, karpenter=karpenter)
        drain.resource.node.add_dependency(
            models, insights, insights.shippers
        )  # pods that end unmount their models, and still log
        for runtime in context.config.models_runtime:
            for queue in self._flow.messaging.queues[runtime.name].by_priority.values():
                keda.watch(queue)
            deployed = RuntimeRelease(
                self,
                f"Runtime-{runtime.name}",
                context=context,
                runtime=runtime,
                flow=self._flow,
                karpenter=karpenter,
            )
            # Removed in the opposite order: first the runtimes, then their nodes, then what made them.
            deployed.release.node.add_dependency(*offered, drain)
        CfnOutput(self, "ConfigCommand", value=cluster.config_command)
        CfnOutput(self, "ClusterName", value=context.name)

    def _add_outputs(self) -> None:
        outputs = {
            "FrontApiEndpoint": self._flow.door.url,
            "GetAPIKeyCommand": self._flow.door.get_api_key_command,
            "APIKeys": " ".join(f"{name}={key_id}" for name, key_id in self._flow.door.key_ids.items()),
            "OutputS3Bucket": self._flow.bucket.bucket_name,
            "sdNotificationOutputArn": self._flow.messaging.notices.topic_arn,
            "JobsTable": self._flow.table.table_name,
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)


def build(config: Config, outdir: str | None = None) -> App:
    """Compose the application of one stack, checked by cdk-nag while it is synthesized.

    ``outdir`` is the folder of the cloud assembly. Default: the one that CDK's command line sets.
    """
    app = App(outdir=outdir)
    PlatformStack(app, config.cloudformation_stack, config=config)
    Validations.of(app).add_plugins(AwsSolutionsChecks())
    return app
