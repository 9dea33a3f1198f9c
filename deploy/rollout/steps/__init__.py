"""The steps of a rollout. Each looks first, and makes only what is missing, so that it can be repeated at any time."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.rollout.context import RolloutContext


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """A step.

    Attributes:
        title: What it is about, in a few words.
        plan: Says what ``run`` would do; changes nothing.
        run: Does it where it is not done, and says what is there now; raises DeployError where it cannot be done.
    """

    title: str
    plan: Callable[[RolloutContext], str]
    run: Callable[[RolloutContext], str]
