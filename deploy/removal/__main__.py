"""``python -m deploy.removal``: remove a deployment; deploy/destroy.sh starts it."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from configuration.checks import STACK_SUFFIX
from deploy.aws import Account
from deploy.backlog import backlogs
from deploy.console import confirm, note, say
from deploy.errors import DeployError
from deploy.removal.foreign import foreign_resources, karpenter_nodes
from deploy.removal.leftovers import leftovers, retained
from deploy.rollout.journal import Journal
from deploy.scripts import ROOT, exit_code_of
from deploy.stacks import Stack, explain_failures

_CLOCK_SKEW = timedelta(minutes=1)
_GOES = "the cluster and its nodes, queues and the tasks in them, topics and their subscriptions, network, roles"
_UNDER_WAY = "DELETE_IN_PROGRESS"


def main(arguments: Sequence[str] | None = None) -> int:
    """Remove; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="deploy/destroy.sh",
        description="Remove a deployment. Buckets and the jobs table stay; what is left is listed at the end.",
    )
    parser.add_argument("-n", "--stack-name", default="sdoneks", metavar="NAME", help="the deployment (%(default)s)")
    parser.add_argument("-R", "--region", help="where it is (the current profile's region)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--force", action="store_true", help="remove it though tasks are lost or others use it")
    options = parser.parse_args(arguments)

    def work() -> None:
        account = Account.find(options.region)
        snapshot = Journal(ROOT, stack=options.stack_name, region=account.region).snapshot
        remove(account, options.stack_name, snapshot.get("id"), yes=options.yes, force=options.force)

    return exit_code_of(work)


def remove(account: Account, stack_name: str, snapshot: str | None, *, yes: bool, force: bool) -> None:
    """Look what prevents it, delete the stack, and list what is left; go on with a removal that was interrupted.

    Args:
        account: Where it is.
        stack_name: stackName in config.yaml.
        snapshot: The snapshot that was made for it.
        yes: Ask nothing.
        force: Remove it though tasks are lost, or something of others is in the way.

    Raises:
        DeployError: It must not be removed yet, or could not be.
    """
    stack = Stack(account.client("cloudformation"), f"{stack_name}{STACK_SUFFIX}")
    say(f"{stack.name} in account {account.id}, region {account.region} ({account.partition_name})")
    status, kept = stack.status, []
    if status is None:
        say(f"There is no stack {stack.name} in {account.region}.")
    else:
        kept = retained(stack)
        say(f"Goes:  {_GOES}")
        say(f"Stays: {', '.join(['the model bucket', *(resource.physical_id for resource in kept)])}")
        if status != _UNDER_WAY:
            _check(account, stack, force=force)
            confirm(f"Remove {stack.name}?", assumed=yes)
        _delete(account, stack, status)
    if nodes := karpenter_nodes(account.client("ec2"), stack.name):
        raise DeployError(
            f"Instances of the cluster still run and cost money: {', '.join(nodes)}.",
            f"aws ec2 terminate-instances --region {account.region} --instance-ids {' '.join(nodes)}",
        )
    if found := leftovers(account, stack_name, kept, snapshot):
        say("\nWhat is left, and how to remove it:")
    for what, command in found:
        say(f"  {what}\n      {command} --region {account.region}")


def _check(account: Account, stack: Stack, *, force: bool) -> None:
    if stack.is_protected:
        raise DeployError(
            f"Stack {stack.name} is protected against deletion.",
            "aws cloudformation update-termination-protection --no-enable-termination-protection"
            f" --stack-name {stack.name}",
        )
    held = [one for one in backlogs(account.client("sqs"), stack.name) if one.total]
    problems = [*(f"Tasks would be lost. {one}." for one in held), *foreign_resources(account, stack)]
    if problems and not force:
        raise DeployError(
            "Not removed:\n" + "\n".join(f"  {problem}" for problem in problems),
            "Resolve these problems and run the same command again; --force removes the stack anyway.",
        )
    for problem in problems:
        note(problem)


def _delete(account: Account, stack: Stack, status: str) -> None:
    began = datetime.now(UTC) - _CLOCK_SKEW
    # By its id it can still be asked for once it is gone.
    deleted = Stack(account.client("cloudformation"), stack.id or stack.name)
    if status != _UNDER_WAY:
        deleted.delete()
    say("Deleting it takes 20 to 30 minutes: GPU nodes end first. Interrupted, the same command goes on.")
    ended = deleted.watch(lambda event: say(f"  {event}"), since=began)
    if ended is not None:
        raise DeployError(
            f"Stack {stack.name} is {ended}:\n{explain_failures(deleted.events(began))}",
            "Remove what the events name, then run the same command again.",
        )
    say(f"Stack {stack.name} is gone.")


if __name__ == "__main__":
    sys.exit(main())
