"""The CloudFormation stack, the filters that route tasks to queues, and the first pictures."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from deploy.console import in_words, note, say
from deploy.errors import DeployError
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import StepWork, step
from deploy.rollout.steps.tools import environ
from deploy.scripts import ROOT, run
from deploy.stacks import Stack, explain_failures
from runtimes.flux.families import TEXT_TO_IMAGE

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
_SUBSCRIPTION = "AWS::SNS::Subscription"


@step("Stack")
def stack(context: RolloutContext) -> StepWork:
    """Deploy; wait first for the end of a running operation."""
    stack = context.stack
    if stack.is_moving:
        yield f"wait for the operation under way ({stack.status}), then deploy"
        note(f"an operation is under way ({stack.status}); waiting for its end.")
        stack.watch(since=datetime.now(UTC) - _LOOK_BACK)
    else:
        missing = context.table_indexes.missing
        more = f"; before that, {len(missing)} updates that each add an index: {', '.join(missing)}" if missing else ""
        yield f"{'update' if stack.status else 'create'} {stack.name}: {' '.join(DEPLOY_COMMAND)}{more}"
    status = stack.status or ""
    if status in _DEAD_ENDS:
        raise DeployError(f"Stack {stack.name} is {status}; it cannot be updated.", _DEAD_ENDS[status])
    if status.endswith("_FAILED"):
        note(f"the last operation ended as {status}; this one goes on from there.")
    began = datetime.now(UTC) - _CLOCK_SKEW
    try:
        for value in context.table_indexes.additions():
            run([*DEPLOY_COMMAND, "-c", value], environ=environ(context), remedy=_REMEDY)
        run(DEPLOY_COMMAND, environ=environ(context), remedy=_REMEDY)
    except DeployError as exc:
        causes = explain_failures(stack.events(began)) if stack.status is not None else ""
        if not causes:
            raise
        raise DeployError(f"Stack {stack.name} is {stack.status}:\n{causes}", _REMEDY) from exc
    return f"{stack.name}: {stack.status}"


@step("Filters")
def filters(context: RolloutContext) -> StepWork:
    """Wait until SNS applies new and changed filters, because until then the topic may drop tasks."""
    yield f"wait until SNS applies filters that have changed, up to {in_words(_SETTLED.total_seconds())}"
    settled = _last_change(context.stack) + _SETTLED
    if settled <= datetime.now(UTC):
        return "SNS applies all of them"
    note(
        f"SNS may drop tasks for new runtimes until {settled:%H:%M} UTC; send none before. "
        "Runtimes that were there before are not concerned."
    )
    while (left_s := (settled - datetime.now(UTC)).total_seconds()) > 0:
        say(f"  {in_words(left_s)} left")
        time.sleep(min(left_s, _SAY_EVERY_S))
    return "SNS applies the new ones"


def _last_change(stack: Stack) -> datetime:
    """When a filter last changed, or long ago."""
    long_ago = datetime.now(UTC) - _SETTLED
    events = stack.events(long_ago)
    return max((event["Timestamp"] for event in events if event["ResourceType"] == _SUBSCRIPTION), default=long_ago)


@step("Verification")
def verification(context: RolloutContext) -> StepWork:
    """Post the samples of the runtime that -r names, or of the first one; the first tasks wait for a node."""
    runtime = context.runtime
    charged = ", each a picture that the service charges for" if runtime.is_managed else ""
    yield f"post samples to {runtime.name}{charged}"
    variables = {"STACK_NAME": context.config.cloudformation_stack, "RUNTIME_NAME": runtime.name}
    if not runtime.is_managed:  # whose samples depend on its model, which config.yaml has
        variables["RUNTIME_TYPE"] = runtime.type
    if runtime.static_model:
        variables["MODEL_FILENAME"] = runtime.static_model
    if runtime.model and not runtime.is_managed:
        row = runtime.deployed(context.config.deadlines)
        # If only its files describe the model, use what most models can do.
        variables["TASK_TYPES"] = TEXT_TO_IMAGE if row.card is None else ",".join(row.task_types)
    look = "kubectl get pods -A" if context.config.has_cluster else "the log group of the runtime's function"
    run(
        [str(ROOT / "test" / "run.sh")],
        environ={**environ(context), **variables},
        remedy=f"The platform is deployed. See why it makes no pictures: {look}, and the dashboard.",
    )
    return f"{runtime.name} makes pictures"
