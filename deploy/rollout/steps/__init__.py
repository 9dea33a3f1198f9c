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


def step(title: str, *, for_pods: bool = False) -> Callable[[Callable[[RolloutContext], StepWork]], RolloutStep]:
    """Turn the decorated function into a step; one that is ``for_pods`` does nothing where there is no cluster."""
    return lambda work: RolloutStep(title, _where_pods_are(work) if for_pods else work)


def _where_pods_are(work: Callable[[RolloutContext], StepWork]) -> Callable[[RolloutContext], StepWork]:
    def checked(context: RolloutContext) -> StepWork:
        if not context.config.has_cluster:
            return "not needed: managed runtimes alone have no pods"
        return (yield from work(context))

    return checked
