"""The CloudFormation stack."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from deploy.console import note, say
from deploy.errors import DeployError
from deploy.failures import explained_failures
from deploy.processes import run
from deploy.rollout.deployment import Deployment
from deploy.stacks import Stack

DEPLOY_COMMAND = ("cdk", "deploy", "--no-rollback", "--require-approval", "never")
_REMEDY = (
    "What was made stays as it is (--no-rollback). Remove the cause and run the same command again: it goes on from"
    " there. Or take the failed change back with `cdk rollback`, or all of it with deploy/destroy.sh."
)
_DEAD_ENDS: Mapping[str, str] = {
    "ROLLBACK_COMPLETE": "A first deployment was rolled back and can only be deleted: deploy/destroy.sh, then this.",
    "ROLLBACK_FAILED": "Remove what the events name, then deploy/destroy.sh, and this again.",
    "UPDATE_ROLLBACK_FAILED": "Remove the cause, then run `cdk rollback`, and this again.",
    "DELETE_FAILED": "It was being deleted: end that with deploy/destroy.sh, then run this again.",
}
_SKEW = timedelta(minutes=1)
"""How far this machine's clock may be from AWS's."""
_LOOK_BACK = timedelta(hours=1)


class PlatformStack:
    """The platform itself."""

    title = "Stack"

    def foresee(self, deployment: Deployment) -> str:
        """Say what would be done with it in the state it is in."""
        stack = deployment.stack
        if stack.is_moving:
            return f"wait for the operation under way ({stack.status}), then deploy"
        return f"{'update' if stack.status else 'create'} {stack.name}: {' '.join(DEPLOY_COMMAND)}"

    def run(self, deployment: Deployment) -> str:
        """Deploy; where an operation is under way already, wait for its end first."""
        stack = deployment.stack
        if stack.is_moving:
            _attach(stack)
        status = stack.status
        if status is not None and status in _DEAD_ENDS:
            raise DeployError(f"Stack {stack.name} is {status}; it cannot be updated.", _DEAD_ENDS[status])
        if status is not None and status.endswith("_FAILED"):
            note(f"the last operation ended as {status}; this one goes on from there.")
        _deploy(deployment, stack)
        return f"{stack.name}: {stack.status}"


def _attach(stack: Stack) -> None:
    note(f"an operation is under way ({stack.status}); waiting for its end.")
    stack.watch(lambda event: say(f"  {event}"), since=datetime.now(UTC) - _LOOK_BACK)


def _deploy(deployment: Deployment, stack: Stack) -> None:
    began = datetime.now(UTC) - _SKEW
    try:
        run(DEPLOY_COMMAND, environ=deployment.environ, remedy=_REMEDY)
    except DeployError as exc:
        causes = explained_failures(stack.events(began)) if stack.status is not None else ""
        if not causes:
            raise
        raise DeployError(f"Stack {stack.name} is {stack.status}:\n{causes}", _REMEDY) from exc
