"""The steps of a rollout. Each checks first and makes only what is missing, so that it can be repeated at any time."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from deploy.rollout.context import RolloutContext

StepWork = Generator[str, None, str]
"""Checks, yields what it would do, does it, and returns the new state; it returns at once if nothing is missing.

It raises DeployError if it cannot be done.
"""


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """A step with its title, such as ``Model bucket``."""

    title: str
    work: Callable[[RolloutContext], StepWork]

    def plan(self, context: RolloutContext) -> str:
        """Say what ``run`` would do, without changing anything."""
        try:
            return next(self.work(context))
        except StopIteration as done:
            return str(done.value)

    def run(self, context: RolloutContext) -> str:
        """Do what is missing, and say the new state."""
        work = self.work(context)
        while True:
            try:
                next(work)
            except StopIteration as done:
                return str(done.value)


def step(title: str) -> Callable[[Callable[[RolloutContext], StepWork]], RolloutStep]:
    """Turn the decorated function into a step."""
    return lambda work: RolloutStep(title, work)
