"""What a profile of config.yaml means: a tree of keys, put under those of the operator before they are checked."""

from collections.abc import Mapping
from typing import Any

from configuration.gpus import gpu_of
from runtimes.registry import RUNTIME_TYPES

Tree = Mapping[str, Any]

PROFILES: Mapping[str, Tree] = {
    "lean": {
        "vpc": {"natGateways": 0},
        "cluster": {"systemNodes": {"instanceType": "t4g.medium", "count": 2}, "logTypes": ["authenticator"]},
        "monitoring": {"containerInsights": "off", "flowLogs": False, "tracedPercent": 5},
    },
    "standard": {
        "vpc": {"natGateways": 1},
        "cluster": {"systemNodes": {"instanceType": "t4g.medium", "count": 3}, "logTypes": ["audit", "authenticator"]},
        "monitoring": {"tracedPercent": 5},
    },
    "resilient": {},
}
"""By name; ``resilient`` is what every key's own default says."""

PLAIN_VOLUME: Tree = {
    "karpenter": {"nodeTemplate": {"dataVolume": {"volumeSize": "20Gi", "iops": 3000, "throughput": 125}}}
}
"""Under a runtime's extraValues in lean and standard, where its nodes hold images on disks of their own.

Such a volume is as fast as gp3 is without a charge for speed, and of the size that Bottlerocket's own has.
"""
COPIED_MODELS: Tree = {"runtime": {"persistence": {"mode": "copy"}}}
"""Under the same runtimes' extraValues, if one checkpoint is all that they serve: such disks have room for it."""


def with_profile(data: Any) -> Any:
    """The file's content with what its profile sets, wherever the operator sets nothing; ill-typed data as it is."""
    name = data.get("profile") if isinstance(data, dict) else None
    if not isinstance(name, str) or name not in PROFILES:
        return data
    laid = _laid(PROFILES[name], data)
    runtimes = laid.get("modelsRuntime")
    if PROFILES[name] and isinstance(runtimes, list):
        laid["modelsRuntime"] = [_for_own_disks(one) if _has_own_disks(one) else one for one in runtimes]
    return laid


def serves_one_checkpoint(runtime: Mapping[str, Any]) -> bool:
    """Whether an entry of modelsRuntime is of a type with checkpoints, and its tasks cannot choose another one."""
    runtime_type = RUNTIME_TYPES.get(str(runtime.get("type")))
    return runtime_type is not None and runtime_type.loads_checkpoint and runtime.get("dynamicModel") is not True


def may_copy_models(runtime: Mapping[str, Any]) -> bool:
    """Whether an entry's pods may copy models: its server finds them later, and no task asks for a newer one."""
    runtime_type = RUNTIME_TYPES.get(str(runtime.get("type")))
    return runtime_type is not None and runtime_type.copies_models and runtime.get("dynamicModel") is not True


def inner(tree: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at a path; an empty one where there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else {}


def _has_own_disks(runtime: Any) -> bool:
    """Whether a runtime's nodes hold images on disks of their own, for no snapshot fills their volume."""
    if not isinstance(runtime, dict) or runtime.get("chartRepository"):
        return False
    runtime_type = RUNTIME_TYPES.get(str(runtime.get("type")))
    template = inner(runtime, "extraValues", "karpenter", "nodeTemplate")
    volume = inner(template, "dataVolume")
    types = inner(runtime, "extraValues", "karpenter", "provisioner").get("instanceType") or ()
    return not (
        (runtime_type is not None and runtime_type.is_managed)
        or inner(runtime, "extraValues", "karpenter").get("enabled") is False
        or volume.get("snapshotID")
        or volume.get("volumeType") not in (None, "", "gp3")
        or template.get("instanceStorePolicy") == "None"
        or not (isinstance(types, list | tuple) and all(gpu_of(str(name)) for name in types))
    )


def _for_own_disks(runtime: dict[str, Any]) -> dict[str, Any]:
    persistence = inner(runtime, "extraValues", "runtime", "persistence")
    mounts = persistence.get("existingClaim") or persistence.get("enabled") is False
    copied = COPIED_MODELS if serves_one_checkpoint(runtime) and not mounts else {}
    return _laid({"extraValues": PLAIN_VOLUME}, _laid({"extraValues": copied}, runtime))


def _laid(below: Tree, above: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees in one, that of ``above`` where it sets a key; an empty text and null set nothing."""
    laid = {**above}
    for key, value in below.items():
        own = above.get(key)
        if own in ("", None):
            laid[key] = _laid(value, {}) if isinstance(value, Mapping) else value
        elif isinstance(value, Mapping) and isinstance(own, dict):
            laid[key] = _laid(value, own)
    return laid
