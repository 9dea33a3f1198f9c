"""What KEDA itself decides beside the HPA that it makes: from no pod to the first, and from the last to none.

Source: github.com/kedacore/keda v2.21.0, pkg/scaling/executor/scale_scaledobjects.go, RequestScale.
"""


class ScaledObject:
    """A ScaledObject's state between two polls; errors of its triggers are not simulated."""

    def __init__(self, min_replicas: int, cooldown_s: float) -> None:
        """Set what does not change."""
        self._min_replicas = min_replicas
        self._cooldown_s = cooldown_s
        self._last_active_s: float | None = None

    def poll(self, now: float, replicas: int, *, is_active: bool) -> int:
        """The number of pods after a poll that found ``replicas``, and the triggers active or not."""
        if is_active:
            self._last_active_s = now
            return replicas or max(1, self._min_replicas)
        if replicas > 0 and self._min_replicas == 0:
            has_cooled = self._last_active_s is None or self._last_active_s + self._cooldown_s < now
            return 0 if has_cooled else replicas
        return max(replicas, self._min_replicas)
