"""The GPU capacity that a configuration may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from configuration.config import Config, ModelsRuntime

_SURGE = 0.25
"""The chart's maxSurge: what a roll-out asks for besides, rounded up as Kubernetes does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDemand:
    """vCPUs of GPU nodes.

    Attributes:
        most: When every runtime has all its pods and is rolled out, each pod on the largest instance type that it
            may use.
        least: One pod on the smallest instance type.
        on_demand: Whether on-demand instances may be launched.
        spot: Whether Spot instances may.
    """

    most: int
    least: int
    on_demand: bool
    spot: bool


def gpu_demand(config: Config, vcpus: Mapping[str, int]) -> GpuDemand:
    """Add up what all runtimes may use.

    Args:
        config: The configuration.
        vcpus: vCPUs of each instance type that is offered.
    """
    runtimes = [one for one in config.enabled_runtimes if one.extra_values.karpenter.enabled and _sizes(one, vcpus)]
    kinds = [one.extra_values.karpenter.provisioner.capacity_type for one in runtimes]
    return GpuDemand(
        most=sum(_pods(one) * max(_sizes(one, vcpus)) for one in runtimes),
        least=min((min(_sizes(one, vcpus)) for one in runtimes), default=0),
        on_demand=any(kind.on_demand for kind in kinds),
        spot=any(kind.spot for kind in kinds),
    )


def _pods(runtime: ModelsRuntime) -> int:
    pods = runtime.extra_values.runtime.max_pods
    return pods if runtime.chart_repository is not None else pods + ceil(pods * _SURGE)


def _sizes(runtime: ModelsRuntime, vcpus: Mapping[str, int]) -> list[int]:
    return [vcpus[name] for name in runtime.extra_values.karpenter.provisioner.instance_type if name in vcpus]
