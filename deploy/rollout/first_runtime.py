"""The runtime of a new config.yaml: the options' type and model, on instances that can run it."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from configuration.gpus import instances_that_fit
from configuration.images import AGENT
from deploy.rollout.options import FIRST_MODELS, RolloutOptions
from runtimes.flux.profiles import PROFILES, Profile, Quantization
from runtimes.registry import RUNTIME_TYPES

# Stable Diffusion 1.5, CreativeML OpenRAIL-M. The checksum is the one that its publisher states for the LFS object.
DEFAULT_CHECKPOINT = "v1-5-pruned-emaonly.safetensors"
DEFAULT_URL = f"https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5/resolve/main/{DEFAULT_CHECKPOINT}"
DEFAULT_SHA256 = "6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa"
_COOLDOWN_S = 300
_MAX_REPLICAS = 5
_SMALL = ("g5.xlarge", "g6.xlarge", "g5.2xlarge", "g6.2xlarge")
"""Those that draw the most pictures for a dollar first (``planning.fleet``)."""
_SLOW = ("g4dn.xlarge", "g4dn.2xlarge")
"""Cheapest by the hour, and never by the picture: for regions that have no others."""
_LARGE = ("g6e.xlarge", "g6e.2xlarge", "g6e.4xlarge")


def first_runtime(
    options: RolloutOptions, instance_types: Sequence[str], images: Mapping[str, str], snapshot: str | None
) -> dict[str, Any]:
    """Its entry in modelsRuntime; ``images`` has ``repository@digest`` by name, and is empty until they are known."""
    if options.is_managed:
        model = dict(FIRST_MODELS[options.runtime_type])
        return {"name": options.runtime_name, "type": options.runtime_type, "model": model}
    provisioner = {"instanceType": list(instance_types), "capacityType": {"onDemand": True, "spot": True}}
    node_template = {"nodeTemplate": {"dataVolume": {"snapshotID": snapshot}}} if snapshot else {}
    containers = {"inferenceApi": images.get(options.runtime_type), "queueAgent": images.get(AGENT)}
    return {
        "name": options.runtime_name,
        "namespace": "default",
        "type": options.runtime_type,
        **served(options),
        "extraValues": {
            "karpenter": {"provisioner": provisioner, **node_template},
            "runtime": {
                "scaling": {"cooldownPeriod": _COOLDOWN_S, "maxReplicaCount": _MAX_REPLICAS},
                **{
                    name: {"image": dict(zip(("repository", "digest"), image.split("@"), strict=True))}
                    for name, image in containers.items()
                    if image is not None
                },
            },
        },
    }


def served(options: RolloutOptions) -> Mapping[str, Any]:
    """The runtime's keys that name its model; empty if tasks name it."""
    row = RUNTIME_TYPES[options.runtime_type]
    if row.loads_checkpoint:
        return {"modelFilename": DEFAULT_CHECKPOINT}
    if not row.has_model_options:
        return {}
    quantization = _quantization(PROFILES[options.profile])
    quantized = {} if quantization == "none" else {"quantization": quantization}
    return {"model": {"profile": options.profile, **quantized}}


def instance_types(options: RolloutOptions) -> tuple[str, ...]:
    """GPU instances on which the runtime can run, the preferred one first."""
    if not RUNTIME_TYPES[options.runtime_type].has_model_options:
        return (*_SMALL, *_SLOW)
    profile = PROFILES[options.profile]
    families = instances_that_fit(profile, _quantization(profile), "none")
    return tuple(name for name in (*_LARGE, *_SMALL, *_SLOW) if name.partition(".")[0] in families)


def preferred(types: Sequence[str]) -> list[str]:
    """The instance types that are fast enough for their price; all if there are no others."""
    return [name for name in types if name not in _SLOW] or [*types]


def _quantization(profile: Profile) -> Quantization:
    """The most bits with which a model fits an instance with one GPU."""
    families = {name.partition(".")[0] for name in _LARGE}
    choices: tuple[Quantization, ...] = get_args(Quantization)
    return next(one for one in choices if families & set(instances_that_fit(profile, one, "none")))
