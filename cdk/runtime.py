"""One runtime on the cluster: who its pods are to AWS, and its Helm release."""

from pathlib import Path
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from cdk.nag import acknowledge
from cdk.output_bucket import LOGICAL_ID
from cdk.pod_identity import PodIdentity
from cdk.release_values import ReleaseResources, release_values
from configuration.config import Config, ModelsRuntime
from configuration.images import pod_images

_ROOT = Path(__file__).parent.parent
CHART = _ROOT / "charts" / "sd-on-eks"
_TIMEOUT = Duration.minutes(14)  # the handler is a Lambda, which has 15


class Runtime(Construct):
    """A runtime's identity and its release.

    Attributes:
        identity: What its queue agents may do; model servers get none of it.
        release: The Helm release, named like the runtime.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        runtime: ModelsRuntime,
        cluster: eks.ICluster,
        resources: ReleaseResources,
        statements: list[iam.PolicyStatement],
    ) -> None:
        """Make them.

        Args:
            scope: Where.
            construct_id: Under which id.
            config: The whole configuration.
            runtime: The runtime in it.
            cluster: Where it runs.
            resources: What the stack has made for it.
            statements: What its agents are allowed.
        """
        super().__init__(scope, construct_id)
        self.identity = PodIdentity(
            self,
            "Agent",
            cluster=cluster,
            namespace=runtime.namespace,
            service_account=resources.service_account,
            description=f"Queue agents of runtime {runtime.name}",
            statements=statements,
        )
        self._acknowledge(config)
        self.release = eks.HelmChart(
            self,
            "Release",
            cluster=cluster,
            release=runtime.name,
            namespace=runtime.namespace,
            create_namespace=True,
            timeout=_TIMEOUT,
            values=release_values(config, runtime, resources, image_tags=_image_tags(runtime)),
            **self._chart(runtime),
        )
        self.release.node.add_dependency(self.identity)

    def _acknowledge(self, config: Config) -> None:
        for bucket in (f"<{LOGICAL_ID}.Arn>", *config.input_bucket_arns):
            acknowledge(
                self.identity.role,
                f"AwsSolutions-IAM5[Resource::{bucket}/*]",
                "Keys of pictures and inputs are the tasks' choice; whatever tasks name must be there for them.",
            )

    def _chart(self, runtime: ModelsRuntime) -> dict[str, Any]:
        """Say where the chart comes from: this checkout, or where the operator keeps one."""
        if runtime.chart_repository is None:
            return {"chart_asset": assets.Asset(self, "Chart", path=str(CHART))}
        return {"chart": CHART.name, "repository": runtime.chart_repository, "version": runtime.chart_version}


def _image_tags(runtime: ModelsRuntime) -> dict[str, str]:
    """The tags under which ``python -m deploy.images build`` makes its images of this checkout."""
    return {image.source.name: image.source.tag(_ROOT) for image in pod_images(runtime)}
