"""The platform: it composes capabilities, lets them reach each other, and says where they are."""

from aws_cdk import CfnOutput
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IConstruct

from cdk.alarms import Alarms
from cdk.cluster import Cluster
from cdk.collector import Collector
from cdk.dashboard import Dashboard
from cdk.insights import Insights
from cdk.karpenter import Karpenter
from cdk.keda import Keda
from cdk.lambda_code import Package, lambda_code
from cdk.log_retention import log_retention
from cdk.metrics import Watched
from cdk.model_files import ModelFiles
from cdk.network import Network
from cdk.node_drain import NodeDrain
from cdk.release_values import ReleaseResources
from cdk.runtime import Runtime
from cdk.runtime_role import agent_statements
from cdk.task_flow import TaskFlow
from cdk.three_zones import ThreeZoneStack
from configuration.config import Config, ModelsRuntime
from configuration.images import account_registry


class PlatformStack(ThreeZoneStack):
    """Everything between an application's request and the picture in the bucket.

    Args:
        scope: The application.
        construct_id: The stack's name, which is also the cluster's.
        config: The configuration.
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(
            scope,
            construct_id,
            zones=config.vpc.availability_zones,
            description="Asynchronous image generation on Kubernetes",
        )
        self._config = config
        self._key = kms.Key.from_key_arn(self, "Key", config.kms_key_arn) if config.kms_key_arn else None
        self._log_retention = log_retention(config.monitoring.log_retention_days)
        self._flow = TaskFlow(
            self, "Tasks", config=config, code_of=self._code_of, key=self._key, log_retention=self._log_retention
        )
        self._add_cluster()
        self._add_runtimes()
        self._add_monitoring()
        self._add_outputs()

    def _code_of(self, package: Package) -> lambda_.Code:
        return lambda_code(package, self._config.catalog if package == "api" else None)

    def _add_cluster(self) -> None:
        """The cluster with what it offers to runtimes: models, scaling, nodes, and somewhere to send measurements."""
        config, key, kept = self._config, self._key, self._log_retention
        name = config.cloudformation_stack
        network = Network(self, "Network", settings=config.vpc, cluster_name=name, log_retention=kept, key=key)
        self._cluster = Cluster(
            self,
            "Cluster",
            name=name,
            settings=config.cluster,
            vpc=network.vpc,
            log_retention=kept,
            key=key,
        )
        models = ModelFiles(
            self,
            "ModelFiles",
            cluster=self._cluster,
            bucket_arn=config.model_bucket_arn,
            bucket_accounts=config.bucket_accounts,
            prefix=config.models_prefix,
            key=key,
        )
        insights = Insights(self, "Insights", cluster=self._cluster, log_retention=kept, key=key)
        self._collector = Collector(
            self,
            "Collector",
            cluster=self._cluster.cluster,
            log_retention=kept,
            key=key,
            mirror=config.mirror_registry,
        )
        self._collector.node.add_dependency(self._cluster.ready)
        self._keda = Keda(
            self,
            "Keda",
            cluster=self._cluster,
            otlp_endpoint=self._collector.endpoint,
            mirror=config.mirror_registry,
        )
        self._karpenter = Karpenter(self, "Karpenter", cluster=self._cluster, mirror=config.mirror_registry)
        drain = NodeDrain(self, "NodeDrain", karpenter=self._karpenter, log_retention=kept, key=key)
        drain.resource.node.add_dependency(models, insights)  # pods that end unmount their models, and still log
        self._before_runtimes: list[IConstruct] = [self._collector.manifest, self._keda, drain]

    def _add_runtimes(self) -> None:
        for runtime in self._config.models_runtime:
            self._add_runtime(runtime)

    def _add_runtime(self, runtime: ModelsRuntime) -> None:
        queues = self._flow.messaging.queues[runtime.name]
        self._keda.watch(queues.main)
        deployed = Runtime(
            self,
            f"Runtime-{runtime.name}",
            config=self._config,
            runtime=runtime,
            cluster=self._cluster.cluster,
            resources=ReleaseResources(
                queue_url=queues.main.queue_url,
                dead_queue_url=queues.dead.queue_url,
                notice_topic_arn=self._flow.messaging.notices.topic_arn,
                output_bucket=self._flow.bucket.bucket_name,
                jobs_table=self._flow.table.table_name,
                region=self.region,
                node_role=self._karpenter.node_role.role_name,
                service_account=runtime.name,
                otlp_endpoint=self._collector.endpoint,
                registry=account_registry(account=self.account, region=self.region, url_suffix=self.url_suffix),
            ),
            statements=agent_statements(
                queues=queues,
                bucket=self._flow.bucket,
                input_bucket_arns=self._config.input_bucket_arns,
                bucket_accounts=self._config.bucket_accounts,
                notices=self._flow.messaging.notices,
                table=self._flow.table,
                key=self._key,
            ),
        )
        # Removed in the opposite order: first the runtimes, then their nodes, then what made them.
        deployed.release.node.add_dependency(*self._before_runtimes)

    def _add_monitoring(self) -> None:
        watched = Watched(
            queues=self._flow.messaging.queues,
            api=self._flow.door.api,
            door=self._flow.door.function,
            returned=self._flow.keeper.returned,
            reaper=self._flow.keeper.reaper,
            table=self._flow.table,
            cluster_name=self._cluster.name,
        )
        Dashboard(self, "Dashboard", config=self._config, watched=watched)
        Alarms(self, "Alarms", config=self._config, watched=watched, key=self._key)

    def _add_outputs(self) -> None:
        outputs = {
            "FrontApiEndpoint": self._flow.door.url,
            "GetAPIKeyCommand": self._flow.door.get_api_key_command,
            "ConfigCommand": self._cluster.config_command,
            "ClusterName": self._cluster.name,
            "OutputS3Bucket": self._flow.bucket.bucket_name,
            "sdNotificationOutputArn": self._flow.messaging.notices.topic_arn,
            "JobsTable": self._flow.table.table_name,
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)
