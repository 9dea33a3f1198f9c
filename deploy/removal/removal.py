"""The removal of one deployment."""

from datetime import UTC, datetime, timedelta

from deploy.account import Account
from deploy.backlog import deployed_queues
from deploy.console import confirm, note, say
from deploy.errors import DeployError
from deploy.failures import explained_failures
from deploy.removal.leftovers import Leftovers, retained
from deploy.removal.nodes import karpenter_nodes
from deploy.removal.strangers import Strangers
from deploy.stacks import Resource, Stack

_GOES = "the cluster and its nodes, queues and the tasks in them, topics and their subscriptions, network, roles"
_STAYS = "the model bucket"
_SKEW = timedelta(minutes=1)
_MOVING_AWAY = "DELETE_IN_PROGRESS"


class Removal:
    """Looks what stands in the way, deletes the stack, and looks what is left.

    Args:
        account: Where it is.
        stack: The stack.
        leftovers: Finds what stays.
    """

    def __init__(self, account: Account, stack: Stack, leftovers: Leftovers) -> None:
        self._account = account
        self._stack = stack
        self._leftovers = leftovers

    def run(self, *, yes: bool, force: bool) -> None:
        """Remove it; a removal that was interrupted goes on.

        Args:
            yes: Ask nothing.
            force: Remove it though tasks are lost, or something of others is in the way.

        Raises:
            DeployError: It must not be removed yet, or could not be.
        """
        status = self._stack.status
        kept: list[Resource] = []
        if status is None:
            say(f"There is no stack {self._stack.name} in {self._account.region}.")
        else:
            kept = retained(self._stack)
            self._show(kept)
            if status != _MOVING_AWAY:
                self._check(force=force)
                confirm(f"Remove {self._stack.name}?", assumed=yes)
            self._delete(status)
        self._check_nodes()
        self._show_leftovers(kept)

    def _show(self, kept: list[Resource]) -> None:
        say(f"Goes:  {_GOES}")
        say(f"Stays: {', '.join([_STAYS, *(resource.physical_id for resource in kept)])}")

    def _check(self, *, force: bool) -> None:
        if self._stack.is_protected:
            raise DeployError(
                f"Stack {self._stack.name} is protected against deletion.",
                f"aws cloudformation update-termination-protection --no-enable-termination-protection"
                f" --stack-name {self._stack.name}",
            )
        queues = deployed_queues(self._account.client("sqs"), self._stack.name)
        problems = [f"Tasks would be lost. {one}." for one in queues if one.total]
        problems += Strangers(self._account, self._stack).found()
        if problems and not force:
            raise DeployError(
                "Not removed:\n" + "\n".join(f"  {problem}" for problem in problems),
                "Put that right and run the same command again; --force removes the stack all the same.",
            )
        for problem in problems:
            note(problem)

    def _delete(self, status: str) -> None:
        began = datetime.now(UTC) - _SKEW
        # By its id it can still be asked for once it is gone.
        stack = Stack(self._account.client("cloudformation"), self._stack.id or self._stack.name)
        if status != _MOVING_AWAY:
            stack.delete()
        say("Deleting it takes 20 to 30 minutes: GPU nodes end first. Interrupted, the same command goes on.")
        ended = stack.watch(lambda event: say(f"  {event}"), since=began)
        if ended is not None:
            raise DeployError(
                f"Stack {self._stack.name} is {ended}:\n{explained_failures(stack.events(began))}",
                "Remove what the events name, then run the same command again.",
            )
        say(f"Stack {self._stack.name} is gone.")

    def _check_nodes(self) -> None:
        if nodes := karpenter_nodes(self._account.client("ec2"), self._stack.name):
            raise DeployError(
                f"Instances of the cluster still run, and cost: {', '.join(nodes)}.",
                f"aws ec2 terminate-instances --region {self._account.region} --instance-ids {' '.join(nodes)}",
            )

    def _show_leftovers(self, kept: list[Resource]) -> None:
        found = self._leftovers.found(kept)
        if found:
            say("\nWhat is left, and how to remove it:")
        for leftover in found:
            say(f"  {leftover.what}\n      {leftover.remover}")
