"""EC2 instance types: which a region and its zones offer, how large they are, and how many GPU nodes may run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from configuration.config import Config, ModelsRuntime
from deploy.aws import items

_SURGE = 0.25
"""The chart's maxSurge: what a roll-out needs besides, rounded up as Kubernetes does."""


def offered(ec2: Any, types: Iterable[str]) -> list[str]:
    """Those of some instance types that the region offers, in their order."""
    wanted = list(dict.fromkeys(types))
    found = {name for _, name in _offerings(ec2, "region", wanted)}
    return [name for name in wanted if name in found]


def offered_by_zone(ec2: Any, types: Iterable[str]) -> dict[str, set[str]]:
    """Those of some instance types that each zone offers, by the zone's name."""
    found: dict[str, set[str]] = {}
    for zone, name in _offerings(ec2, "availability-zone", list(dict.fromkeys(types))):
        found.setdefault(zone, set()).add(name)
    return found


def _offerings(ec2: Any, location: str, types: list[str]) -> Iterator[tuple[str, str]]:
    if types:  # an empty filter is refused
        at = {"LocationType": location, "Filters": [{"Name": "instance-type", "Values": types}]}
        for one in items(ec2, "describe_instance_type_offerings", "InstanceTypeOfferings", **at):
            yield one["Location"], one["InstanceType"]


def vcpus(ec2: Any, types: Iterable[str]) -> dict[str, int]:
    """The vCPUs of each instance type; all must be offered."""
    names = list(dict.fromkeys(types))
    described = ec2.describe_instance_types(InstanceTypes=names)["InstanceTypes"] if names else []
    return {one["InstanceType"]: int(one["VCpuInfo"]["DefaultVCpus"]) for one in described}


def node_types(runtimes: Iterable[ModelsRuntime]) -> list[str]:
    """The instance types of some runtimes' nodes; those that bring no nodes of their own have none."""
    nodes = (one.extra_values.karpenter for one in runtimes)
    return [name for one in nodes if one.enabled for name in one.provisioner.instance_type]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDemand:
    """vCPUs of GPU nodes.

    Attributes:
        full: All runtimes have all their pods and are rolled out, each pod on the largest of its instance types.
        one_pod: One pod, on the smallest instance type.
        on_demand: Whether on-demand instances may be launched.
        spot: Whether Spot instances may.
    """

    full: int
    one_pod: int
    on_demand: bool
    spot: bool


def gpu_demand(config: Config, sizes: Mapping[str, int]) -> GpuDemand:
    """Add up what all runtimes may use, given the vCPUs of each instance type that is offered."""
    runtimes = [
        (one, fitting)
        for one in config.enabled_runtimes
        if (fitting := [sizes[name] for name in node_types([one]) if name in sizes])
    ]
    kinds = [one.extra_values.karpenter.provisioner.capacity_type for one, _ in runtimes]
    return GpuDemand(
        full=sum(_pods(one) * max(fitting) for one, fitting in runtimes),
        one_pod=min((min(fitting) for _, fitting in runtimes), default=0),
        on_demand=any(kind.on_demand for kind in kinds),
        spot=any(kind.spot for kind in kinds),
    )


def _pods(runtime: ModelsRuntime) -> int:
    pods = runtime.extra_values.runtime.max_pods
    return pods if runtime.chart_repository is not None else pods + ceil(pods * _SURGE)
