"""What a load is simulated on: how pods are scaled, how long nodes and pods take, how agents work, Spot's risk."""

from collections.abc import Callable
from dataclasses import dataclass, field

from planning.simulation.hpa import DEFAULT_DOWN, TOLERANCE, ScalingPolicy, ScalingRules
from scaler.demand import Reading

HPA_PERIOD_S = 15.005
"""kube-controller-manager's --horizontal-pod-autoscaler-sync-period, which EKS does not change, is 15 s from a decision
to the next look. The decision takes a moment: a window of a minute holds four looks, not five."""

Range = tuple[float, float]
"""Seconds that something takes: drawn evenly between the least and the most."""


Policy = Callable[[Reading, int], float]
"""The metric that KEDA gives to HPA, whose target is one a pod, by what can be read and by the pods that exist: those
that end as well, as KEDA's kubernetes-workload trigger counts them. It may remember: each simulation makes its own."""


@dataclass(frozen=True, slots=True)
class Depth:
    """The chart's formula without a scaler: so many messages a pod.

    ``keep_busy`` is the part of it that keeps a pod for each running job, which the first versions lacked.
    """

    queue_length: float = 10
    counts_in_flight: bool = True
    keep_busy: bool = True

    def __call__(self, reading: Reading, pods: int) -> float:
        """The pods there should be."""
        total = reading.visible + reading.in_flight
        wanted = (total if self.counts_in_flight else reading.visible) / self.queue_length
        return max(wanted, min(reading.in_flight, pods)) if self.keep_busy else wanted


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """``runtime.scaling`` of the chart, with its defaults, and what follows it."""

    policy: Callable[[], Policy] = Depth
    """Makes what decides on the number of pods."""
    polling_s: float = 2
    cooldown_s: float = 60
    min_pods: int = 0
    max_pods: int = 20
    has_scaler: bool = False
    """Whether the chart's rules for HPA are those of a runtime with a scaler."""
    up: ScalingRules | None = None
    """HPA's rules for more pods; None stands for the chart's: all in one step, with a scaler the last tenth too."""
    down: ScalingRules | None = None
    """HPA's rules for fewer pods; None stands for the chart's: the highest number within the cooldown, with a scaler
    within one period of HPA."""
    first_look_s: float | None = None
    """When HPA first looks; None leaves that to chance."""
    beacons_s: float = 15
    """How old the agents' reports may be that the policy sees."""

    def __post_init__(self) -> None:
        """Raise ValueError for bounds that contradict each other."""
        if not 0 <= self.min_pods <= self.max_pods or self.max_pods < 1:
            raise ValueError(f"between {self.min_pods} and {self.max_pods} pods")
        if self.polling_s <= 0:
            raise ValueError(f"a look each {self.polling_s} s")

    @property
    def rules(self) -> tuple[ScalingRules, ScalingRules]:
        """HPA's rules for more and for fewer pods."""
        tolerance, window_s = (0.0, 15) if self.has_scaler else (TOLERANCE, 3600)
        up = ScalingRules((ScalingPolicy("Pods", self.max_pods, 15),), tolerance=tolerance)
        down = ScalingRules(DEFAULT_DOWN.policies, min(self.cooldown_s, window_s))
        return self.up or up, self.down or down


@dataclass(frozen=True, slots=True)
class Provisioning:
    """Karpenter and EC2, a node a pod."""

    launch_s: Range = (2, 4)
    """From a pod that fits nowhere to the launch: a batch of 1 s, a simulation, EC2's answer. Payment begins."""
    boot_s: Range = (54, 60)
    """From the launch until a pod can be bound: the node appears, is ready, loses its startup taints."""
    consolidate_after_s: float = 10
    validation_s: Range = (15, 25)
    """Karpenter looks every 10 s and thinks again for 15 s: until then the empty node may get a pod again."""
    removal_s: Range = (0, 20)
    """From the decision to the end of payment."""
    warm: int = 0
    """Nodes kept without a pod, by placeholders of low priority."""
    limit: int | None = None
    """The most nodes there can be: a limit, a quota, or what EC2 has."""


@dataclass(frozen=True, slots=True)
class Pods:
    """The runtime's pods and their agents."""

    boot_s: Range = (40, 60)
    """From its binding to a node until a pod takes jobs: images, imports, model."""
    devices: int = 1
    """GPUs of a pod, each with a job of its own."""
    held: int = 1
    """Messages an agent holds, running jobs included, at least one a device. The agent takes the next message some
    tenths of a second before the running job's end: no device waits for it, and no message waits behind a job."""
    overhead_s: float = 0
    """Seconds a device is taken besides each job's own."""
    grace_s: float = 95
    """A pod that has to go ends the jobs it can end within so long; all others go back to the queue at once."""


@dataclass(frozen=True, slots=True)
class Spot:
    """How often Spot takes a node back; none does by default."""

    interruptions_per_hour: float = 0
    """Of each node, at any time alike."""
    warning_s: float = 120


@dataclass(frozen=True, slots=True)
class Setup:
    """What a load meets. The defaults are the chart's values, and the stages of the README of the captured timelines.

    All that is left to chance follows from ``seed``.
    """

    scaling: Autoscaling = field(default_factory=Autoscaling)
    nodes: Provisioning = field(default_factory=Provisioning)
    pods: Pods = field(default_factory=Pods)
    spot: Spot = field(default_factory=Spot)
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError where there may be fewer nodes than are to stay."""
        stay = self.scaling.min_pods + self.nodes.warm
        if self.nodes.limit is not None and self.nodes.limit < max(1, stay):
            raise ValueError(f"at most {self.nodes.limit} nodes, but {stay} are to stay, and a load needs one")
