"""The platform to verify: where it is and what its outputs are."""

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from deploy.errors import DeployError
from deploy.scripts import ROOT
from deploy.stacks import Stack

DEFAULT_STACK_FILE = ROOT / ".local" / "stack.json"
_KEY_ID = re.compile(r"\bid\s*==\s*[`'\"]+([A-Za-z0-9]+)[`'\"]|--api-key[ =]+['\"]?([A-Za-z0-9]+)")
_OUTPUTS = ("FrontApiEndpoint", "OutputS3Bucket", "sdNotificationOutputArn")
_DEPLOY_AGAIN = "Deploy again: this release's stack has it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running platform: the API's base URL, stage included, a key that it takes, and where results go.

    By a key's id the platform knows whose results are whose; None where it is not known. ``client`` makes AWS clients,
    as ``boto3.client`` does.
    """

    endpoint: str
    api_key: str = field(repr=False)
    bucket: str
    notice_topic_arn: str
    api_key_id: str | None = None
    client: Callable[..., Any] = boto3.client


def deployed_target(stack_name: str) -> Target:
    """Find a deployed platform by its CloudFormation stack, in the account and region of the environment.

    Raises:
        DeployError: No such stack, or outputs are missing.
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: AWS did not answer.
    """
    stack = Stack(boto3.client("cloudformation"), stack_name)
    if stack.status is None:
        raise DeployError(f"There is no stack {stack_name}.", "Look at its name and at the region.")
    outputs = stack.outputs
    # The command is for operators; only the id in it is used.
    found = _KEY_ID.search(outputs.get("GetAPIKeyCommand", ""))
    if found is None:
        raise DeployError(f"Output GetAPIKeyCommand of {stack_name} names no API key's id.", _DEPLOY_AGAIN)
    key_id = found.group(1) or found.group(2)
    api_key = boto3.client("apigateway").get_api_key(apiKey=key_id, includeValue=True)["value"]
    return _target(outputs, str(api_key), key_id, f"Stack {stack_name}")


def local_target(outputs: Mapping[str, Any]) -> Target:
    """The local platform by what its stack.json holds.

    Raises:
        DeployError: Outputs are missing.
    """
    return _target(outputs, outputs.get("ApiKey", ""), outputs.get("ApiKeyId"), "The local platform")


def _target(outputs: Mapping[str, Any], api_key: str, api_key_id: str | None, name: str) -> Target:
    if missing := [key for key in _OUTPUTS if not outputs.get(key)]:
        raise DeployError(f"{name} has no output {', '.join(missing)}.", _DEPLOY_AGAIN)
    endpoint, bucket, topic = (outputs[key] for key in _OUTPUTS)
    return Target(
        endpoint=endpoint.rstrip("/"), api_key=api_key, api_key_id=api_key_id, bucket=bucket, notice_topic_arn=topic
    )


def enter_local_stack(environ: MutableMapping[str, str]) -> dict[str, Any]:
    """Make an environment lead to the running local platform, and read its stack.json, or that of STACK_FILE.

    Raises:
        DeployError: None runs.
    """
    path = Path(environ.get("STACK_FILE") or DEFAULT_STACK_FILE)
    try:
        stack: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeployError(f"No local platform runs: {path} is not there.", "Start one with `make up`.") from None
    # Nothing of a real account may take part in a local run, whatever profile or proxy the caller has set.
    for name in [name for name in environ if name.startswith("AWS_")]:
        del environ[name]
    environ.update(stack["Environment"])
    return stack
