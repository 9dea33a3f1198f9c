"""The platform: it composes capabilities, lets them reach each other, and says where they are."""

from aws_cdk import App, CfnOutput, Fn, Stack, Validations
from aws_cdk import aws_kms as kms
from cdk_nag import AwsSolutionsChecks
from constructs import Construct, IConstruct

from cdk.addons import Insights, ModelFiles
from cdk.alarms import Alarms
from cdk.cluster import EksCluster
from cdk.collector import TelemetryCollector
from cdk.context import Context
from cdk.dashboard import Dashboard
from cdk.karpenter import KarpenterController
from cdk.keda import Keda
from cdk.network import Network
from cdk.node_drain import NodeDrain
from cdk.runtime import RuntimeRelease
from cdk.task_flow import TaskFlow
from configuration.config import Config
from configuration.platform import ZONES


class PlatformStack(Stack):
    """Everything between an application's request and the picture in the bucket; the cluster has the stack's name."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        self._zones = config.vpc.availability_zones or [Fn.select(index, Fn.get_azs()) for index in range(ZONES)]
        super().__init__(scope, construct_id, description="Asynchronous image generation on Kubernetes")
        key = kms.Key.from_key_arn(self, "Key", config.kms_key_arn) if config.kms_key_arn else None
        context = Context(config=config, key=key)
        self._flow = TaskFlow(self, "Tasks", context=context)
        self._add_cluster(context)
        for runtime in config.models_runtime:
            for queue in self._flow.messaging.queues[runtime.name].by_priority.values():
                self._keda.watch(queue)
            deployed = RuntimeRelease(
                self,
                f"Runtime-{runtime.name}",
                context=context,
                runtime=runtime,
                flow=self._flow,
                karpenter=self._karpenter,
            )
            # Removed in the opposite order: first the runtimes, then their nodes, then what made them.
            deployed.release.node.add_dependency(*self._before_runtimes)
        Dashboard(self, "Dashboard", context=context, flow=self._flow)
        Alarms(self, "Alarms", context=context, flow=self._flow)
        self._add_outputs(context)

    @property
    def availability_zones(self) -> list[str]:
        """The zones in the configuration, or the region's first three, in whatever order CloudFormation has them.

        With a fixed environment CDK would ask the account for its zones at synthesis, without one it would use two.
        """
        return self._zones

    def _add_cluster(self, context: Context) -> None:
        """The cluster with what it offers to runtimes: models, scaling, nodes, and somewhere to send measurements."""
        network = Network(self, "Network", context=context)
        self._cluster = EksCluster(self, "Cluster", context=context, vpc=network.vpc)
        models = ModelFiles(self, "ModelFiles", context=context, cluster=self._cluster)
        insights = Insights(self, "Insights", context=context, cluster=self._cluster)
        collector = TelemetryCollector(self, "Collector", context=context, cluster=self._cluster)
        collector.node.add_dependency(self._cluster.ready)
        self._keda = Keda(self, "Keda", context=context, cluster=self._cluster)
        self._karpenter = KarpenterController(self, "Karpenter", context=context, cluster=self._cluster)
        drain = NodeDrain(self, "NodeDrain", context=context, karpenter=self._karpenter)
        drain.resource.node.add_dependency(models, insights)  # pods that end unmount their models, and still log
        self._before_runtimes: list[IConstruct] = [collector.manifest, self._keda, drain]

    def _add_outputs(self, context: Context) -> None:
        outputs = {
            "FrontApiEndpoint": self._flow.door.url,
            "GetAPIKeyCommand": self._flow.door.get_api_key_command,
            "APIKeys": " ".join(f"{name}={key_id}" for name, key_id in self._flow.door.key_ids.items()),
            "ConfigCommand": self._cluster.config_command,
            "ClusterName": context.name,
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
