"""The HorizontalPodAutoscaler's decision, as Kubernetes 1.36 takes it.

Source: k8s.io/kubernetes v1.36.3, pkg/controller/podautoscaler: ``horizontal.go`` and ``replica_calculator.go``.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

TOLERANCE = 0.1
"""kube-controller-manager's default: a metric so near its target changes nothing."""


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """At most ``value`` pods, or percent of the pods, in a period."""

    type: Literal["Pods", "Percent"]
    value: int
    period_s: float


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """How fast the number of pods may change in one direction.

    Within ``window_s`` the least recommendation counts for more pods, the highest for fewer.
    """

    policies: tuple[ScalingPolicy, ...]
    window_s: float = 0.0
    select: Literal["Max", "Min", "Disabled"] = "Max"
    tolerance: float = TOLERANCE


DEFAULT_UP = ScalingRules((ScalingPolicy("Pods", 4, 15), ScalingPolicy("Percent", 100, 15)))
DEFAULT_DOWN = ScalingRules((ScalingPolicy("Percent", 100, 15),), window_s=300)
"""What applies where an HPA names no rules (pkg/apis/autoscaling/v2/defaults.go)."""

Change = tuple[float, int]
"""When the number of pods changed, and by how many, or what was recommended then."""


def replicas_for(metric: float, target: float, replicas: int, up: float = TOLERANCE, down: float = TOLERANCE) -> int:
    """The pods that an external metric with an AverageValue of ``target`` calls for, where there are some already.

    GetExternalPerPodMetricReplicas: the metric is the sum over all pods; within the tolerances nothing changes.
    """
    return replicas if 1 - down <= metric / (target * replicas) <= 1 + up else math.ceil(metric / target)


def scale_up_limit(
    replicas: int, ups: Iterable[Change], downs: Iterable[Change], rules: ScalingRules, now: float
) -> int:
    """The most pods that the rules allow now: calculateScaleUpLimitWithScalingRules."""
    if rules.select == "Disabled":
        return replicas

    def proposed(policy: ScalingPolicy) -> int:
        start = replicas - _changed(ups, policy, now) + _changed(downs, policy, now)
        return start + policy.value if policy.type == "Pods" else math.ceil(start * (1 + policy.value / 100))

    return (max if rules.select == "Max" else min)(map(proposed, rules.policies))


def scale_down_limit(
    replicas: int, ups: Iterable[Change], downs: Iterable[Change], rules: ScalingRules, now: float
) -> int:
    """The fewest pods that the rules allow now: calculateScaleDownLimitWithBehaviors."""
    if rules.select == "Disabled":
        return replicas

    def proposed(policy: ScalingPolicy) -> int:
        start = replicas - _changed(ups, policy, now) + _changed(downs, policy, now)
        return start - policy.value if policy.type == "Pods" else int(start * (1 - policy.value / 100))

    # The largest change is the lowest number of pods.
    return (min if rules.select == "Max" else max)(map(proposed, rules.policies))


def _changed(changes: Iterable[Change], policy: ScalingPolicy, now: float) -> int:
    return sum(pods for at_s, pods in changes if at_s > now - policy.period_s)


class HorizontalPodAutoscaler:
    """What it remembers, and how it decides every 15 s."""

    def __init__(self, min_replicas: int, max_replicas: int, up: ScalingRules, down: ScalingRules) -> None:
        """Set the bounds and rules; ``min_replicas`` is at least 1, since KEDA alone goes to 0."""
        self.up, self.down = up, down
        self.min_replicas, self.max_replicas = min_replicas, max_replicas
        self.recommendations: deque[Change] = deque()
        self.ups: deque[Change] = deque()
        self.downs: deque[Change] = deque()

    def decide(self, now: float, replicas: int, recommend: Callable[[], float]) -> int:
        """The number of pods from now on, where there are ``replicas``, within the bounds or none: reconcileAutoscaler.

        ``recommend`` gives the metric, for a target of 1 a pod; where there is no pod it is not read.
        """
        if replicas == 0:
            return 0
        if not self.recommendations:
            self.recommendations.append((now, replicas))
        recommended = replicas_for(_milli(recommend()), 1000, replicas, self.up.tolerance, self.down.tolerance)
        wanted = self.limited(now, replicas, self.stabilized(now, replicas, recommended))
        if wanted != replicas:
            self._remember(now, wanted - replicas)
        return wanted

    def stabilized(self, now: float, replicas: int, recommended: int) -> int:
        """The recommendation within those of the windows: stabilizeRecommendationWithBehaviors."""
        longest_s = max(self.up.window_s, self.down.window_s)
        while self.recommendations and self.recommendations[0][0] <= now - longest_s:
            self.recommendations.popleft()
        lowest = min([recommended, *self._since(now - self.up.window_s)])
        highest = max([recommended, *self._since(now - self.down.window_s)])
        self.recommendations.append((now, recommended))
        return min(max(replicas, lowest), highest)

    def limited(self, now: float, replicas: int, wanted: int) -> int:
        """What the rules allow of the wanted number: convertDesiredReplicasWithBehaviorRate."""
        if wanted > replicas:
            most = max(replicas, scale_up_limit(replicas, self.ups, self.downs, self.up, now))
            return min(wanted, self.max_replicas, most)
        if wanted < replicas:
            fewest = min(replicas, scale_down_limit(replicas, self.ups, self.downs, self.down, now))
            return max(wanted, self.min_replicas, fewest)
        return wanted

    def _since(self, at_s: float) -> Iterable[int]:
        return (pods for recommended_s, pods in self.recommendations if recommended_s > at_s)

    def _remember(self, now: float, change: int) -> None:
        longest_s = max(policy.period_s for rules in (self.up, self.down) for policy in rules.policies)
        (self.ups if change > 0 else self.downs).append((now, abs(change)))
        for changes in (self.ups, self.downs):
            while changes and changes[0][0] < now - longest_s:
                changes.popleft()


def _milli(value: float) -> int:
    """A metric as KEDA hands it over: a quantity in thousandths."""
    return int(value * 1000)
