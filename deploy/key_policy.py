"""``python -m deploy.key_policy``: print what the policy of your own KMS key (kmsKeyArn) must say."""

import argparse
import json
import sys
from collections.abc import Sequence

from configuration.key_policy import service_statements
from deploy.aws import Account
from deploy.scripts import exit_code_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the statements as JSON; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.key_policy", description=__doc__)
    parser.add_argument("-R", "--region", help="where the platform is deployed to (the current profile's region)")
    options = parser.parse_args(arguments)

    def work() -> None:
        account = Account.find(options.region)
        statements = service_statements(
            partition=account.partition_name,
            url_suffix=account.partition.url_suffix,
            region=account.region,
            account=account.id,
        )
        print(json.dumps(statements, indent=2))

    return exit_code_of(work)


if __name__ == "__main__":
    sys.exit(main())
