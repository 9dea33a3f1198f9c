"""Every version that the platform pins of other people's software on the cluster, each with its source.

``python -m cdk.versions`` lists, as JSON, the charts and images of others that a deployment takes.

Kubernetes' own version is a setting (``configuration.platform.Cluster``); EKS gives its add-ons the versions that it
tests with that one, so none is pinned here. Where a version is raised, those of the others must still fit:

- Karpenter: the compatibility matrix of its release (website, upgrading/compatibility). Kubernetes 1.36 asks for
  1.13 at least.
- KEDA: the table under "Kubernetes Compatibility" of its documentation (operate/cluster). 2.21 is tested with 1.34 to
  1.36.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A Helm chart that others publish, at its own address in an OCI registry or in a repository over HTTPS."""

    name: str
    version: str
    repository: str

    def location(self, mirror: str | None) -> dict[str, Any]:
        """Say where the chart is fetched from, as keywords of ``aws_eks_v2.HelmChart``.

        A mirror is an OCI registry, and a folder there, that holds copies: charts under ``charts/``, images under their
        own names. Without one the chart comes from where it is published.
        """
        repository = self.repository if mirror is None else f"oci://{mirror}/charts/{self.name}"
        return {"chart": self.name, "repository": repository, "version": self.version}


_KARPENTER_VERSION = "1.14.1"

KARPENTER = Chart(name="karpenter", version=_KARPENTER_VERSION, repository="oci://public.ecr.aws/karpenter/karpenter")
"""Source: github.com/aws/karpenter-provider-aws, tag v1.14.1, charts/karpenter."""
KARPENTER_CRD = Chart(
    name="karpenter-crd", version=_KARPENTER_VERSION, repository="oci://public.ecr.aws/karpenter/karpenter-crd"
)
"""Its resource types, which Helm would not upgrade if they came with the chart above. Source: charts/karpenter-crd."""
KARPENTER_IMAGE = "karpenter/controller"
"""The controller's image in a mirror; its tag is the chart's version."""

KEDA = Chart(name="keda", version="2.21.0", repository="https://kedacore.github.io/charts")
"""Source: github.com/kedacore/charts; a chart has its KEDA's version."""

PUBLIC_REGISTRY = "public.ecr.aws"
COLLECTOR_IMAGE = "aws-observability/aws-otel-collector"
"""The OpenTelemetry collector's image, in the public registry and in a mirror."""
COLLECTOR_VERSION = "v0.49.0"
"""Of July 2026, with OpenTelemetry's components 0.156.0. Source: github.com/aws-observability/aws-otel-collector."""

LOG_SHIPPER_IMAGE = "aws-observability/aws-for-fluent-bit"
"""Fluent Bit's image by AWS, in the public registry and in a mirror."""
LOG_SHIPPER_VERSION = "3.4.8"
"""What chart 6.4.0 of CloudWatch's add-on takes (github.com/aws-observability/helm-charts, August 2026)."""


def published() -> dict[str, list[dict[str, str]] | list[str]]:
    """List what others publish: ``charts`` with name, version and repository; ``images`` that are in none of these.

    The images of EKS add-ons are not among them: EKS keeps copies of them in every region.
    """
    return {
        "charts": [asdict(chart) for chart in (KEDA, KARPENTER_CRD, KARPENTER)],
        "images": [
            f"{PUBLIC_REGISTRY}/{COLLECTOR_IMAGE}:{COLLECTOR_VERSION}",
            f"{PUBLIC_REGISTRY}/{LOG_SHIPPER_IMAGE}:{LOG_SHIPPER_VERSION}",
        ],
    }


if __name__ == "__main__":
    print(json.dumps(published()))
