"""What KEDA and the HorizontalPodAutoscaler make of a ScaledObject, by their own arithmetic."""

import math
import re

TOLERANCE = 0.1
"""How far usage may be from the target before the autoscaler acts: kube-controller-manager's default, EKS's too."""

_GRAMMAR = re.compile(r"[a-z\d.+*/(), -]+")
"""What of expr-lang, by which KEDA reads formulas, means the same in Python: numbers, names, + - * / max and min."""


def evaluated(formula, values):
    """Give a formula's value."""
    assert _GRAMMAR.fullmatch(formula), formula
    return float(eval(formula, {"__builtins__": {}, "max": max, "min": min}, values))


class Autoscaler:
    """Decides for a ScaledObject with scalingModifiers of type AverageValue.

    Args:
        spec: The ScaledObject's.
    """

    def __init__(self, spec):
        self._modifiers = spec["advanced"]["scalingModifiers"]
        assert self._modifiers["metricType"] == "AverageValue"
        self._counts_in_flight = {
            trigger["name"]: trigger["metadata"]["scaleOnInFlight"] == "true"
            for trigger in spec["triggers"]
            if trigger["type"] == "aws-sqs-queue"
        }
        (self._pods,) = [each["name"] for each in spec["triggers"] if each["type"] == "kubernetes-workload"]
        self._least, self._most = spec["minReplicaCount"], spec["maxReplicaCount"]

    def _milli(self, waiting, in_flight, pods):
        read = {name: waiting + counts * in_flight for name, counts in self._counts_in_flight.items()}
        return self.of_readings(**read, **{self._pods: pods})

    def of_readings(self, **values):
        """The metric that KEDA answers, in thousandths (pkg/scaling/modifiers/formula.go of KEDA 2.21)."""
        return int(evaluated(self._modifiers["formula"], values) * 1000)

    def is_active(self, *, waiting, in_flight, pods):
        """Whether KEDA starts the first pod, or keeps the last one from the end of its cooldown."""
        return self._milli(waiting, in_flight, pods) / 1000 > float(self._modifiers.get("activationTarget", 0))

    def wanted(self, *, waiting, in_flight, pods):
        """Pods that the autoscaler wants, once no window holds it back (GetExternalPerPodMetricReplicas)."""
        milli, target = self._milli(waiting, in_flight, pods), float(self._modifiers["target"]) * 1000
        ratio = milli / (target * pods)
        steady = 1 - TOLERANCE <= ratio <= 1 + TOLERANCE
        proposed = pods if steady else math.ceil(milli / target)
        return min(max(proposed, self._least, 1), self._most)
