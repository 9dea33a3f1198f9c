"""``python -m deploy.removal``: remove a deployment; deploy/destroy.sh starts it."""

import argparse
import sys
from collections.abc import Sequence

from configuration.checks import STACK_SUFFIX
from deploy.account import Account
from deploy.console import say
from deploy.processes import ROOT
from deploy.removal.leftovers import Leftovers
from deploy.removal.removal import Removal
from deploy.rollout.journal import JOURNALS, SNAPSHOT, Journal
from deploy.scripts import exit_code_of
from deploy.stacks import Stack


def main(arguments: Sequence[str] | None = None) -> int:
    """Remove; return the exit code."""
    options = _parser().parse_args(arguments)
    return exit_code_of(lambda: _remove(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/destroy.sh",
        description="Remove a deployment. Buckets and the jobs table stay; what is left is listed at the end.",
    )
    parser.add_argument("-n", "--stack-name", default="sdoneks", metavar="NAME", help="the deployment (%(default)s)")
    parser.add_argument("-R", "--region", help="where it is (the current profile's region)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--force", action="store_true", help="remove it though tasks are lost or others use it")
    return parser


def _remove(options: argparse.Namespace) -> None:
    account = Account.find(options.region)
    stack = Stack(account.client("cloudformation"), f"{options.stack_name}{STACK_SUFFIX}")
    say(f"{stack.name} in account {account.id}, region {account.region} ({account.partition_name})")
    made = Journal(ROOT / JOURNALS, stack=options.stack_name, region=account.region).recall(SNAPSHOT)
    snapshots = [made["id"]] if made else []
    leftovers = Leftovers(account, stack_name=options.stack_name, snapshots=snapshots)
    Removal(account, stack, leftovers).run(yes=options.yes, force=options.force)


if __name__ == "__main__":
    sys.exit(main())
