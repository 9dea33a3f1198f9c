"""One runtime on the cluster: what its pods may do in AWS, and its Helm release."""

from pathlib import Path
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from cdk.addon import PodIdentity
from cdk.agent import acknowledge_agent, agent_statements
from cdk.collector import ENDPOINT
from cdk.context import Context
from cdk.karpenter import KarpenterController
from cdk.scaler import scaler_url
from cdk.task_flow import TaskFlow
from configuration.config import ModelsRuntime
from configuration.images import account_registry, pod_images
from configuration.release_values import ReleaseResources, release_values

_ROOT = Path(__file__).parent.parent
CHART = _ROOT / "charts" / "sd-on-eks"


class RuntimeRelease(Construct):
    """A runtime's identity and its Helm release, named like the runtime. Model servers get none of its rights."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        context: Context,
        runtime: ModelsRuntime,
        flow: TaskFlow,
        karpenter: KarpenterController,
    ) -> None:
        super().__init__(scope, construct_id)
        cluster = karpenter.cluster.cluster
        identity = PodIdentity(
            self,
            "Agent",
            cluster=cluster,
            service_account=f"{runtime.namespace}/{runtime.name}",
            description=f"Queue agents of runtime {runtime.name}",
            statements=agent_statements(context, flow, runtime),
        )
        acknowledge_agent(context, identity.role, runtime)
        # Under these tags ``python -m deploy.images build`` makes the images of this checkout.
        tags = {image.source.name: image.source.tag(_ROOT) for image in pod_images(context.config, runtime)}
        stack, queues = Stack.of(self), flow.messaging.queues[runtime.name]
        resources = ReleaseResources(
            queue_urls={priority: queue.queue_url for priority, queue in queues.by_priority.items()},
            dead_queue_url=queues.dead.queue_url,
            notice_topic_arn=flow.messaging.notices.topic_arn,
            output_bucket=flow.bucket.bucket_name,
            jobs_table=flow.table.table_name,
            region=stack.region,
            node_role=karpenter.node_role.role_name,
            service_account=runtime.name,
            otlp_endpoint=ENDPOINT,
            scaler_url=scaler_url(runtime.name),
            registry=account_registry(account=stack.account, region=stack.region, url_suffix=stack.url_suffix),
        )
        chart: dict[str, Any]
        if runtime.chart_repository is None:
            chart = {"chart_asset": assets.Asset(self, "Chart", path=str(CHART))}
        else:
            chart = {"chart": CHART.name, "repository": runtime.chart_repository, "version": runtime.chart_version}
        self.release = eks.HelmChart(
            self,
            "Release",
            cluster=cluster,
            release=runtime.name,
            namespace=runtime.namespace,
            create_namespace=True,
            timeout=Duration.minutes(14),  # the handler is a Lambda, which has 15
            values=release_values(context.config, runtime, resources, image_tags=tags),
            **chart,
        )
        self.release.node.add_dependency(identity)
