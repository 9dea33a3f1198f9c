"""``python -m deploy.print_key``: print a deployment's API key; deploy/print-key.sh starts it."""

import argparse
import sys

import boto3

from configuration.checks import STACK_SUFFIX
from deploy.aws import Account
from deploy.scripts import exit_code_of
from deploy.verify.target import deployed_target


def _print_key() -> None:
    parser = argparse.ArgumentParser(
        prog="deploy/print-key.sh", description="Print the API key that requests carry in header x-api-key."
    )
    parser.add_argument("-n", "--stack-name", default="sdoneks", metavar="NAME", help="the deployment (%(default)s)")
    parser.add_argument("-R", "--region", help="where it is (the current profile's region)")
    options = parser.parse_args()
    boto3.setup_default_session(region_name=Account.find(options.region).region)
    print(deployed_target(f"{options.stack_name}{STACK_SUFFIX}").api_key)


if __name__ == "__main__":
    sys.exit(exit_code_of(_print_key))
