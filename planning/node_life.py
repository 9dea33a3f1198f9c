"""How long a runtime's GPU nodes take to start, and how long they stay when there is nothing left to do."""

import re
from statistics import fmean

from configuration.chart_values import Provisioner
from configuration.config import Config, ModelsRuntime
from planning.simulation import Pods, Provisioning
from planning.simulation.setup import Range
from planning.stages import first_picture

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS_S = (3600, 60, 1)


def start(config: Config, runtime: ModelsRuntime) -> tuple[Range, Range, Range]:
    """Seconds from a pod to its node's launch, from there until it is bound, and from there until it is ready."""
    stages = first_picture(config, runtime, "none")
    if stages is None:  # nodes that others keep: the pod is bound at once
        return (0, 0), (0, 0), Pods().boot_s
    good, typical = stages.ends("good"), stages.ends("typical")

    def between(first: str, last: str) -> Range:
        shortest, middle = good[last] - good[first], typical[last] - typical[first]
        return shortest, max(2 * middle - shortest, shortest)

    bound = "network" if runtime.copies_models else "storage"
    return between("scaling", "order"), between("order", bound), between(bound, "agent")


def start_s(config: Config, runtime: ModelsRuntime) -> float:
    """Typical seconds from a node's launch to its first task."""
    _, bound, ready = start(config, runtime)
    return fmean(bound) + fmean(ready)


def end_s(provisioner: Provisioner) -> float:
    """Typical seconds from the end of a node's pod to the end of payment; of one that never goes, none are counted."""
    after_s = consolidated_s(provisioner)
    karpenter = Provisioning()
    return 0.0 if after_s is None else after_s + fmean(karpenter.validation_s) + fmean(karpenter.removal_s)


def consolidated_s(provisioner: Provisioner) -> float | None:
    """How long a node must be empty until it goes; None where it never does."""
    found = _DURATION.fullmatch(provisioner.disruption.consolidate_after)
    if found is None or not provisioner.consolidation:
        return None
    return sum(float(part or 0) * unit_s for part, unit_s in zip(found.groups(), _UNITS_S, strict=True))
