"""The steps of a rollout. Each looks first, and makes only what is missing, so that it can be repeated at any time."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from deploy.rollout.context import RolloutContext

StepWork = Generator[str, None, str]
"""Looks, yields what it would do, then does it and returns what is there now; it returns at once if nothing is missing.

It raises DeployError where it cannot be done.
"""


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """A step with its title, such as ``Model bucket``."""

    title: str
    work: Callable[[RolloutContext], StepWork]

    def plan(self, context: RolloutContext) -> str:
        """Say what ``run`` would do; changes nothing."""
        try:
            return next(self.work(context))
        except StopIteration as done:
            return str(done.value)

    def run(self, context: RolloutContext) -> str:
        """Do what is missing; say what is there now."""
        work = self.work(context)
        while True:
            try:
                next(work)
            except StopIteration as done:
                return str(done.value)


def step(title: str) -> Callable[[Callable[[RolloutContext], StepWork]], RolloutStep]:
    """Make a step of the function below."""
    return lambda work: RolloutStep(title, work)
