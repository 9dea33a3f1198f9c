"""GPU instances by what they draw for a dollar; the chart's preferred types follow from the same figures.

Speeds are in ``configuration.gpus``, prices on demand in ``configuration.prices``: both reach the chart's values.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from configuration.chart_values import CapacityType
from configuration.config import ModelsRuntime
from configuration.gpus import SPEEDS, Workload, gpu_of, pictures_per_usd, workload_of
from configuration.prices import ON_DEMAND_USD_PER_HOUR

Purchase = Literal["spot", "on demand"]


class UnknownPriceError(LookupError):
    """The tables have no price of an instance type."""


class GpuNode(NamedTuple):
    """An instance type, and how it is bought."""

    instance_type: str
    purchase: Purchase


class Quote(NamedTuple):
    """What an instance cost an hour on Spot: the mean of a region's zones."""

    usd_per_hour: float
    date: str
    source: str


_SKYPILOT = "github.com/skypilot-org/skypilot-catalog, catalogs/v7/aws/vms.csv, commit 001367d"
_MID_2025 = "2025, before August"
"""The file has no date. It is of 2025, and older than the g6f instances of that July."""
_REFERENCE = "AWS's guidance: $221 for 416.67 hours"


def _mid_2025(*zones: float) -> Quote:
    return Quote(round(sum(zones) / len(zones), 4), _MID_2025, _SKYPILOT)


SPOT: Mapping[str, Mapping[str, Quote]] = {
    "us-west-2": {
        "g4dn.xlarge": _mid_2025(0.1809, 0.1924, 0.1779),
        "g5.xlarge": _mid_2025(0.3739, 0.3570, 0.3644),
        "g5.2xlarge": Quote(0.5304, "2026-03", _REFERENCE),
        "g6.xlarge": _mid_2025(0.3990, 0.5341, 0.4128),
        "g6.2xlarge": _mid_2025(0.3932, 0.4752, 0.4939),
        "g6e.xlarge": _mid_2025(0.8123, 0.7915, 0.8456, 1.1541),
    },
    "us-east-1": {
        "g4dn.xlarge": _mid_2025(0.2010, 0.1860, 0.1869, 0.1845, 0.1872),
        "g5.xlarge": _mid_2025(0.4177, 0.3970, 0.4130, 0.4028, 0.4005),
        "g6.xlarge": _mid_2025(0.4155, 0.3879, 0.4102, 0.4173),
        "g6.2xlarge": _mid_2025(0.4265, 0.3689, 0.4520, 0.4196),
        "g6e.xlarge": _mid_2025(0.7945, 0.7870, 0.8396, 1.2079),
    },
}
"""By region. Spot prices move by the day: pass your own where you know them."""
_SPOT_SHARE = 0.45
"""Of the price on demand, where there is no quote: an assumption, about the mean of the quotes above."""
_UNKNOWN_S = 1.5


def usd_per_hour(node: GpuNode, region: str = "us-west-2") -> float:
    """What a node costs an hour.

    Raises:
        UnknownPriceError: Nobody has written down what its instance type costs.
    """
    listed = ON_DEMAND_USD_PER_HOUR.get(node.instance_type)
    quote = SPOT.get(region, {}).get(node.instance_type) if node.purchase == "spot" else None
    if quote is not None:
        return quote.usd_per_hour
    if listed is None:
        raise UnknownPriceError(f"the price of {node.instance_type} is unknown; give what an hour costs")
    return round(listed * _SPOT_SHARE, 4) if node.purchase == "spot" else listed


def likely_node(runtime: ModelsRuntime) -> GpuNode:
    """The node that a runtime most likely gets: the type that draws the most for a dollar, on Spot where it may be."""
    provisioner = runtime.extra_values.karpenter.provisioner
    purchase = _purchase(provisioner.capacity_type)
    return GpuNode(best_type(provisioner.instance_type, workload_of(runtime.model)), purchase)


def best_type(instance_types: Iterable[str], workload: Workload) -> str:
    """Which of some instance types draws the most pictures for a dollar on demand; the first where none is known."""
    types = list(instance_types)
    return max(types, key=lambda name: pictures_per_usd(name, workload) or 0)


def likely_seconds(runtime: ModelsRuntime) -> float:
    """How long a picture of the workload that a runtime is most like takes on that node; 1.5 s where nobody knows."""
    gpu = gpu_of(likely_node(runtime).instance_type)
    speed = SPEEDS[workload_of(runtime.model)].get(gpu.name) if gpu is not None else None
    return _UNKNOWN_S if speed is None else 1 / speed.pictures_per_s


def _purchase(allowed: CapacityType) -> Purchase:
    return "spot" if allowed.spot else "on demand"


class Worth(NamedTuple):
    """What an instance type draws, and for how much."""

    instance_type: str
    gpu: str
    on_demand: float
    spot: float
    pictures_per_s: float
    per_usd_on_demand: float
    per_usd_spot: float


def worth(workload: Workload, region: str = "us-west-2") -> list[Worth]:
    """All known instance types that can draw a workload, the one that draws the most for a dollar on demand first."""
    rows = []
    for name, listed in ON_DEMAND_USD_PER_HOUR.items():
        gpu = gpu_of(name)
        speed = SPEEDS[workload].get(gpu.name) if gpu is not None else None
        if gpu is None or speed is None:
            continue
        spot = usd_per_hour(GpuNode(name, "spot"), region)
        rate = speed.pictures_per_s
        rows.append(Worth(name, gpu.name, listed, spot, rate, rate * 3600 / listed, rate * 3600 / spot))
    return sorted(rows, key=lambda row: -row.per_usd_on_demand)
