"""How fast nodes fill their volumes from a snapshot, within what EBS allows all volumes of a region together."""

from collections.abc import Iterable
from typing import NamedTuple

REGION_MIB_S = 5000
"""What EBS fills at a time in a region at rates that were asked for. It refuses a volume beyond that, and so its node
(EBS user guide, "Initialize Amazon EBS volumes")."""
UNCHARGED = 0
"""The rate that asks for none: EBS fills the volume at its own pace, uncharged and outside the limit."""
FASTEST_MIB_S, SLOWEST_MIB_S = 300, 100


class Filling(NamedTuple):
    """The most nodes of a runtime that start from a snapshot, and MiB/s that each asks for; None leaves that open."""

    nodes: int
    rate: int | None


def asked_for(fillings: Iterable[Filling]) -> int:
    """MiB/s that nodes whose rate is set ask for when all of them start at the same time."""
    return sum(one.nodes * one.rate for one in fillings if one.rate is not None)


def open_rate(fillings: Iterable[Filling]) -> int:
    """MiB/s for each node whose rate is left open, so that all can start at the same time; else ``UNCHARGED``."""
    all_of_them = list(fillings)
    sharing = sum(one.nodes for one in all_of_them if one.rate is None)
    left = max(REGION_MIB_S - asked_for(all_of_them), 0)
    rate = min(FASTEST_MIB_S, left // max(sharing, 1))
    return rate if rate >= SLOWEST_MIB_S else UNCHARGED
