"""The CloudFormation stack, and the filters by which its topic brings tasks to their queues."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from deploy.console import in_words, note, say
from deploy.errors import DeployError
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import RolloutStep
from deploy.rollout.steps.tools import environ
from deploy.scripts import run
from deploy.stacks import Stack, explain_failures

DEPLOY_COMMAND = ("cdk", "deploy", "--no-rollback", "--require-approval", "never")
_REMEDY = (
    "What was created stays (--no-rollback). Fix the cause and run the same command again: it continues from"
    " there. Or undo the failed change with `cdk rollback`, or everything with deploy/destroy.sh."
)
_DEAD_ENDS: Mapping[str, str] = {
    "ROLLBACK_COMPLETE": "A first deployment was rolled back and can only be deleted: deploy/destroy.sh, then this.",
    "ROLLBACK_FAILED": "Remove what the events name, then deploy/destroy.sh, and this again.",
    "UPDATE_ROLLBACK_FAILED": "Remove the cause, then run `cdk rollback`, and this again.",
    "DELETE_FAILED": "It was being deleted: end that with deploy/destroy.sh, then run this again.",
}
_CLOCK_SKEW = timedelta(minutes=1)
_LOOK_BACK = timedelta(hours=1)
_SETTLED = timedelta(minutes=15)
"""How long SNS may take to apply a filter everywhere (its developer guide, "Subscription filter policies")."""
_SAY_EVERY_S = 60.0


def _plan_stack(context: RolloutContext) -> str:
    stack = context.stack
    if stack.is_moving:
        return f"wait for the operation under way ({stack.status}), then deploy"
    return f"{'update' if stack.status else 'create'} {stack.name}: {' '.join(DEPLOY_COMMAND)}"


def _deploy_stack(context: RolloutContext) -> str:
    """Deploy; where an operation is under way already, wait for its end first."""
    stack = context.stack
    if stack.is_moving:
        note(f"an operation is under way ({stack.status}); waiting for its end.")
        stack.watch(lambda event: say(f"  {event}"), since=datetime.now(UTC) - _LOOK_BACK)
    status = stack.status or ""
    if status in _DEAD_ENDS:
        raise DeployError(f"Stack {stack.name} is {status}; it cannot be updated.", _DEAD_ENDS[status])
    if status.endswith("_FAILED"):
        note(f"the last operation ended as {status}; this one goes on from there.")
    began = datetime.now(UTC) - _CLOCK_SKEW
    try:
        run(DEPLOY_COMMAND, environ=environ(context), remedy=_REMEDY)
    except DeployError as exc:
        causes = explain_failures(stack.events(began)) if stack.status is not None else ""
        if not causes:
            raise
        raise DeployError(f"Stack {stack.name} is {stack.status}:\n{causes}", _REMEDY) from exc
    return f"{stack.name}: {stack.status}"


def _plan_filters(_: RolloutContext) -> str:
    return f"wait until SNS applies filters that have changed, up to {in_words(_SETTLED.total_seconds())}"


def _wait_for_filters(context: RolloutContext) -> str:
    """Wait until SNS applies new and changed filters: until then the topic may drop tasks that match them alone."""
    changed = _last_change(context.stack)
    if changed is None or _left_s(changed) <= 0:
        return "SNS applies all of them"
    note(
        f"SNS may drop tasks for new runtimes until {changed + _SETTLED:%H:%M} UTC; send none before. "
        "Runtimes that were there before are not concerned."
    )
    while (left_s := _left_s(changed)) > 0:
        say(f"  {in_words(left_s)} left")
        time.sleep(min(left_s, _SAY_EVERY_S))
    return "SNS applies the new ones"


def _last_change(stack: Stack) -> datetime | None:
    events = stack.events(datetime.now(UTC) - _SETTLED)
    return max((event.at for event in events if event.type == "AWS::SNS::Subscription"), default=None)


def _left_s(changed: datetime) -> float:
    return (changed + _SETTLED - datetime.now(UTC)).total_seconds()


STACK = RolloutStep("Stack", _plan_stack, _deploy_stack)
FILTERS = RolloutStep("Filters", _plan_filters, _wait_for_filters)
