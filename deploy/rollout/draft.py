"""The content of a new config.yaml: one runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from configuration.images import AGENT
from configuration.platform import ZONES
from deploy.rollout.first_runtime import served
from deploy.rollout.options import Options

_COOLDOWN_S = 300
_MAX_REPLICAS = 5


@dataclass(frozen=True, slots=True)
class Image:
    """A container image that can never change.

    Attributes:
        repository: Registry and repository.
        digest: As ``sha256:…``.
    """

    repository: str
    digest: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


def draft(
    options: Options,
    *,
    bucket_arn: str,
    instance_types: Sequence[str],
    zones: Sequence[str],
    images: Mapping[str, Image],
    snapshot: str | None,
) -> dict[str, Any]:
    """Compose it.

    Args:
        options: What the operator asks for.
        bucket_arn: The model bucket.
        instance_types: What nodes may be.
        zones: Names of the network's availability zones.
        images: The images by name; empty where they are not known yet.
        snapshot: The snapshot with the images.
    """
    return {
        "stackName": options.stack_name,
        "modelBucketArn": bucket_arn,
        **({"vpc": {"availabilityZones": list(zones)}} if len(zones) == ZONES else {}),
        "modelsRuntime": [
            {
                "name": options.runtime_name,
                "namespace": "default",
                "type": options.runtime_type,
                **served(options),
                "extraValues": {
                    "karpenter": {
                        "provisioner": {
                            "instanceType": list(instance_types),
                            "capacityType": {"onDemand": True, "spot": True},
                        },
                        **({"nodeTemplate": {"dataVolume": {"snapshotID": snapshot}}} if snapshot else {}),
                    },
                    "runtime": {
                        "scaling": {"cooldownPeriod": _COOLDOWN_S, "maxReplicaCount": _MAX_REPLICAS},
                        **_image("inferenceApi", images.get(options.runtime_type)),
                        **_image("queueAgent", images.get(AGENT)),
                    },
                },
            }
        ],
    }


def _image(container: str, image: Image | None) -> dict[str, Any]:
    return {container: {"image": {"repository": image.repository, "digest": image.digest}}} if image else {}
