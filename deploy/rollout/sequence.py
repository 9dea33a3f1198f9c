"""Runs steps in their order, each timed and noted."""

import time
from collections.abc import Sequence

from deploy.console import say
from deploy.duration import in_words
from deploy.errors import DeployError
from deploy.refusals import AwsFailure, explained
from deploy.rollout.deployment import Deployment
from deploy.rollout.step import Step


def foresee(steps: Sequence[Step], deployment: Deployment) -> None:
    """Say what each step would do.

    Raises:
        DeployError: One of them would stop.
    """
    for number, step in enumerate(steps, start=1):
        say(f"[{number:>2}/{len(steps)}] {step.title}: {step.foresee(deployment)}")


def run(steps: Sequence[Step], deployment: Deployment) -> None:
    """Run all steps.

    Raises:
        DeployError: A step failed; the ones before it are done.
    """
    began = time.monotonic()
    for number, step in enumerate(steps, start=1):
        say(f"[{number:>2}/{len(steps)}] {step.title} …")
        started = time.monotonic()
        found = _run_one(step, deployment)
        now = time.monotonic()
        deployment.journal.finished(step.title, now - started)
        say(f"        {found}  ({in_words(now - started)}, {in_words(now - began)} in all)")


def _run_one(step: Step, deployment: Deployment) -> str:
    try:
        return step.run(deployment)
    except AwsFailure as exc:
        raise _at(step, explained(exc)) from exc
    except DeployError as exc:
        raise _at(step, exc) from exc


def _at(step: Step, error: DeployError) -> DeployError:
    return DeployError(f"Step “{step.title}” stopped: {error.problem}", error.remedy)
