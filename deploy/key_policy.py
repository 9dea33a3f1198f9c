"""``python -m deploy.key_policy``: print the policy that your own KMS key (kmsKeyArn) needs."""

import argparse
import json
import sys

from configuration.key_policy import service_statements
from deploy.aws import Account
from deploy.scripts import exit_code_of


def _print_statements() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.key_policy", description=__doc__)
    parser.add_argument("-R", "--region", help="where the platform is deployed to (the current profile's region)")
    account = Account.find(parser.parse_args().region)
    place = {"partition": account.partition_name, "region": account.region, "account": account.id}
    print(json.dumps(service_statements(**place, url_suffix=account.partition.url_suffix), indent=2))


if __name__ == "__main__":
    sys.exit(exit_code_of(_print_statements))
