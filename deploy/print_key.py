"""``python -m deploy.print_key``: print a deployment's API key; deploy/print-key.sh starts it."""

import argparse
import sys

import boto3

from configuration.checks import STACK_SUFFIX
from deploy.aws import Account
from deploy.errors import DeployError
from deploy.scripts import exit_code_of
from deploy.stacks import Stack
from deploy.verify.target import deployed_target


def _print_key() -> None:
    parser = argparse.ArgumentParser(
        prog="deploy/print-key.sh",
        description="Print an API key, which requests carry in header x-api-key or as Authorization: Bearer KEY.",
    )
    parser.add_argument("-n", "--stack-name", default="sdoneks", metavar="NAME", help="the deployment (%(default)s)")
    parser.add_argument("-R", "--region", help="where it is (the current profile's region)")
    parser.add_argument("-k", "--key", metavar="NAME", help="the key, by its name in config.yaml (the first one)")
    options = parser.parse_args()
    boto3.setup_default_session(region_name=Account.find(options.region).region)
    stack = f"{options.stack_name}{STACK_SUFFIX}"
    print(deployed_target(stack).api_key if options.key is None else _named(stack, options.key))


def _named(stack: str, name: str) -> str:
    """The value of a key by its name."""
    listed = Stack(boto3.client("cloudformation"), stack).outputs.get("APIKeys", "")
    ids = dict(entry.split("=", 1) for entry in listed.split())
    if name not in ids:
        raise DeployError(
            f"Stack {stack} has no key {name}; it has {', '.join(ids) or 'none'}.",
            "Name one of these, or add it to APIGW.keys in config.yaml and deploy.",
        )
    return str(boto3.client("apigateway").get_api_key(apiKey=ids[name], includeValue=True)["value"])


if __name__ == "__main__":
    sys.exit(exit_code_of(_print_key))
