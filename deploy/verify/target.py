"""The platform to verify: where it is and what its outputs are."""

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploy.verify.errors import VerifyError

DEFAULT_STACK_FILE = Path(__file__).resolve().parents[2] / ".local" / "stack.json"
_KEY_ID = re.compile(r"\bid\s*==\s*[`'\"]+([A-Za-z0-9]+)[`'\"]|--api-key[ =]+['\"]?([A-Za-z0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running platform.

    Attributes:
        endpoint: The API's base URL, stage included.
        api_key: A key that it takes.
        api_key_id: That key's id, by which the platform knows whose results are whose; None where it is not known.
        bucket: The output bucket.
        notice_topic_arn: Where notices are published.
        client: Makes AWS clients, as ``boto3.client`` does.
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
        VerifyError: No such stack, or outputs or the key are missing.
    """
    try:
        stacks = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
        return _target(outputs, *_api_key(outputs.get("GetAPIKeyCommand", "")), f"Stack {stack_name}")
    except (BotoCoreError, ClientError) as exc:
        raise VerifyError(f"Stack {stack_name} cannot be read: {exc}") from exc


def read_local_stack(path: Path) -> dict[str, Any]:
    """Read the stack.json of a running local platform.

    Raises:
        VerifyError: None runs.
    """
    try:
        outputs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VerifyError(f"No local platform runs: {path} is not there. Start one with `make up`.") from None
    return outputs


def enter_local_stack(environ: MutableMapping[str, str]) -> dict[str, Any]:
    """Make an environment lead to the running local platform, and read its stack.json.

    Args:
        environ: The environment; STACK_FILE may name another stack.json.

    Raises:
        VerifyError: None runs.
    """
    stack = read_local_stack(Path(environ.get("STACK_FILE") or DEFAULT_STACK_FILE))
    # Nothing of a real account may take part in a local run, whatever profile or proxy the caller has set.
    for name in [name for name in environ if name.startswith("AWS_")]:
        del environ[name]
    environ.update(stack["Environment"])
    return stack


def local_target(outputs: Mapping[str, Any]) -> Target:
    """Find a local platform by what its stack.json holds.

    Raises:
        VerifyError: Outputs are missing.
    """
    return _target(outputs, outputs.get("ApiKey", ""), outputs.get("ApiKeyId"), "The local platform")


def _target(outputs: Mapping[str, Any], api_key: str, api_key_id: str | None, name: str) -> Target:
    wanted = ("FrontApiEndpoint", "OutputS3Bucket", "sdNotificationOutputArn")
    missing = [key for key in wanted if not outputs.get(key)]
    if missing:
        raise VerifyError(f"{name} has no output {', '.join(missing)}.")
    endpoint, bucket, topic_arn = (outputs[key] for key in wanted)
    return Target(
        endpoint=endpoint.rstrip("/"),
        api_key=api_key,
        api_key_id=api_key_id,
        bucket=bucket,
        notice_topic_arn=topic_arn,
    )


def _api_key(command: str) -> tuple[str, str]:
    """The key whose id stands in the command that an operator would run, and that id."""
    found = _KEY_ID.search(command)
    if found is None:
        raise VerifyError("The stack's output GetAPIKeyCommand names no API key id.")
    key_id = found.group(1) or found.group(2)
    return str(boto3.client("apigateway").get_api_key(apiKey=key_id, includeValue=True)["value"]), key_id
