"""``python -m deploy.rollout.credentials``: check that the account is reachable, before much is installed for it."""

import sys

from deploy.aws import Account
from deploy.rollout.options import parse_options
from deploy.scripts import exit_code_of


def _look() -> None:
    Account.find(parse_options(None).region)


if __name__ == "__main__":
    sys.exit(exit_code_of(_look))
