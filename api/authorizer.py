"""API Gateway's authorizer: it takes the API key from whichever header has it, and API Gateway does the rest.

API Gateway looks the key up, counts it against the usage plan and rejects an unknown one. Nothing is logged here. A
result cannot be cached: API Gateway would then reject each request that lacks one of the headers by which it caches.
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

_KEY = re.compile(r"[!-~]{20,128}")
"""What API Gateway takes as a key (its guide, "API keys"); anything else is a fault of the gateway's to it."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Let a request pass with the key that it carries; deny it if it carries none.

    Takes the event of a REQUEST authorizer and returns its output (API Gateway's guide, "Input to" and "Output from an
    API Gateway Lambda authorizer").
    """
    key = key_of(event.get("headers") or {})
    answer = _policy("Allow" if key else "Deny", str(event["methodArn"]))
    return {**answer, "usageIdentifierKey": key} if key else answer


def key_of(headers: Mapping[str, str]) -> str | None:
    """The API key in a request's headers; None if there is none."""
    key = sent_key({name.lower(): value for name, value in headers.items()})
    return key if _KEY.fullmatch(key) else None


def sent_key(headers: Mapping[str, str]) -> str:
    """What a request sends as its key; "" if it sends none. ``headers`` have lower-case names.

    Clients of other APIs send it as ``Authorization: Bearer``, ``Key`` or ``Basic``.
    """
    scheme, _, credential = (headers.get("authorization") or "").strip().partition(" ")
    read = _SCHEMES.get(scheme.lower())
    return headers.get("x-api-key") or (read(credential.strip()) if read else "")


def _of_basic(credential: str) -> str:
    """The password; the user name where that is all there is."""
    try:
        user, _, password = base64.b64decode(credential, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return password or user


_SCHEMES: Mapping[str, Callable[[str], str]] = {"bearer": str, "key": str, "basic": _of_basic}


def _policy(effect: str, method_arn: str) -> dict[str, Any]:
    # The whole stage: a request's own path may have characters that mean something in a policy.
    api, stage, *_ = method_arn.split("/")
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{api}/{stage}/*"}
    # The principal is required; the key is not named here, because API Gateway can log it.
    return {"principalId": "caller", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
