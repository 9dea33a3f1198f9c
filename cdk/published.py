"""``python -m cdk.published``: lists, as JSON, the charts and images of others that a deployment takes."""

import json
from dataclasses import asdict

from cdk.versions import COLLECTOR_IMAGE, COLLECTOR_VERSION, KARPENTER, KARPENTER_CRD, KEDA, PUBLIC_REGISTRY


def published() -> dict[str, list[dict[str, str]] | list[str]]:
    """List them: ``charts`` with name, version and repository; ``images`` that are in none of these charts.

    The images of EKS add-ons are not among them: EKS keeps copies of them in every region.
    """
    return {
        "charts": [asdict(chart) for chart in (KEDA, KARPENTER_CRD, KARPENTER)],
        "images": [f"{PUBLIC_REGISTRY}/{COLLECTOR_IMAGE}:{COLLECTOR_VERSION}"],
    }


if __name__ == "__main__":
    print(json.dumps(published()))
