"""``python -m deploy.rollout.credentials``: whether the account can be reached, before much is installed for it."""

import sys

from deploy.account import Account
from deploy.rollout.options import parse_options
from deploy.scripts import exit_code_of


def main() -> int:
    """Look; return the exit code."""
    options = parse_options(None)
    return exit_code_of(lambda: _look(options.region))


def _look(region: str | None) -> None:
    Account.find(region)


if __name__ == "__main__":
    sys.exit(main())
