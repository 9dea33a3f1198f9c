"""Models of Amazon Bedrock: how long they live, and the subscription that the first call of an account opens.

Sources: AWS's user guide, "Request access to models" and "Model lifecycle".
"""

import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from deploy.aws import AWS_ERRORS, Account, error_code
from deploy.console import in_words, note, say
from deploy.errors import DeployError
from deploy.support.finding import Finding, Sufficiency
from runtimes.bedrock.families import PROFILE
from runtimes.bedrock.options import BedrockModel

_PARTITION = "aws"
_WAIT_S, _EVERY_S = 900.0, 15.0
"""How long a subscription may take; until then calls may be denied."""
_MARKETPLACE = "aws-marketplace:Subscribe, aws-marketplace:Unsubscribe and aws-marketplace:ViewSubscriptions"
_GONE = "ResourceNotFoundException"
_ACCEPTED = "ValidationException"
"""The answer to an empty body: the caller may call the model, and nothing is drawn and nothing charged."""


class _Access(NamedTuple):
    is_here: bool = True
    is_authorized: bool = True
    agreement: str | None = None
    """AVAILABLE, PENDING, NOT_AVAILABLE or ERROR; None if it cannot be read."""


def look(account: Account, runtime: str, options: BedrockModel) -> Finding:
    """Whether a runtime's model can be called, and until when."""
    what, model = f"Model of {runtime}", _model_of(options)

    def found(verdict: Sufficiency, have: str, advice: str = "") -> Finding:
        return Finding(what, f"{model}, active", have, verdict, advice)

    if account.partition_name != _PARTITION:
        words = (
            f"Amazon Bedrock has no image models in {account.partition_name}; a GPU or SageMaker has (docs/managed.md)"
        )
        return found(Sufficiency.BLOCKS, "none", words)
    try:
        region = options.region_in(account.region) or account.region
    except ValueError as exc:
        return found(Sufficiency.BLOCKS, "none", str(exc))
    return look_at(account, what, model, region)


def look_at(account: Account, what: str, model: str, region: str) -> Finding:
    """Whether a model can be called in a region, and until when; ``what`` names it in the table."""

    def found(verdict: Sufficiency, have: str, advice: str = "") -> Finding:
        return Finding(what, f"{model}, active", have, verdict, advice)

    bedrock = account.client("bedrock", region)
    try:
        details = bedrock.get_foundation_model(modelIdentifier=model)["modelDetails"]
    except AWS_ERRORS as exc:
        if isinstance(exc, ClientError) and error_code(exc) == _GONE:
            return found(
                Sufficiency.BLOCKS, f"not in {region}", "it has ended, or never was there: choose another model"
            )
        return found(Sufficiency.UNKNOWN, "?", f"bedrock:GetFoundationModel in {region}: {exc}")
    access = _access(bedrock, model)
    if not access.is_here:
        return found(Sufficiency.BLOCKS, f"not in {region}", "choose another region or model")
    lives = _lifecycle(details.get("modelLifecycle", {}))
    subscribed = "" if access.agreement in {"AVAILABLE", None} else "; the deployment subscribes to it"
    advice = "" if access.is_authorized else "the account is not authorized: see Bedrock's console, Model catalog"
    verdict = lives[0] if access.is_authorized else Sufficiency.SHORT
    return found(verdict, f"{lives[1]} in {region}{subscribed}", lives[2] or advice)


def open_access(account: Account, options: BedrockModel) -> str:
    """Make the account's first call, which subscribes to the model, and wait until the subscription is there.

    Raises:
        DeployError: Bedrock still denies the call after 15 minutes, or knows no such model.
    """
    region = options.region_in(account.region) or account.region
    bedrock, runtime = account.client("bedrock", region), account.client("bedrock-runtime", region)
    model, until = _model_of(options), time.monotonic() + _WAIT_S
    if _access(bedrock, model).agreement == "AVAILABLE":
        return f"{model} is subscribed to"
    denied: str | None = None
    while True:
        before, denied = denied, _denial(runtime, options.id)
        if denied is None and (agreement := _access(bedrock, model).agreement) in {"AVAILABLE", None}:
            return f"{model} is subscribed to" if agreement else f"{model} can be called"
        if denied is not None and denied != before:
            note(
                f"Bedrock denies {model}: {denied} A subscription takes up to {in_words(_WAIT_S)}. If this role lacks "
                f"{_MARKETPLACE}, interrupt, add them, and run this again."
            )
        left_s = until - time.monotonic()
        if left_s <= 0:
            break
        say(f"  waiting for the subscription to {model}, {in_words(left_s)} at most")
        time.sleep(min(left_s, _EVERY_S))
    if denied is None:
        note(f"{model} can be called, but its subscription is not confirmed yet; look at it in Bedrock's console.")
        return f"{model} can be called"
    raise DeployError(
        f"Bedrock denies calls of {model} in {region}: {denied}",
        f"The role that deploys needs bedrock:InvokeModel, {_MARKETPLACE}; the account, a payment method that AWS"
        " Marketplace takes (docs/managed.md).",
    )


def _model_of(options: BedrockModel) -> str:
    """The foundation model's own id, without a profile's prefix."""
    return options.id.removeprefix(PROFILE)


def _access(bedrock: Any, model: str) -> _Access:
    try:
        found = bedrock.get_foundation_model_availability(modelId=model)
    except AWS_ERRORS:
        return _Access()
    return _Access(
        is_here=found.get("regionAvailability") != "NOT_AVAILABLE",
        is_authorized=found.get("authorizationStatus") != "NOT_AUTHORIZED",
        agreement=found.get("agreementAvailability", {}).get("status"),
    )


def _denial(runtime: Any, model: str) -> str | None:
    """Call the model with an empty body; returns in which words that is denied, None if it is not."""
    try:
        runtime.invoke_model(modelId=model, body=b"{}", contentType="application/json")
    except ClientError as exc:
        message = str(exc.response["Error"].get("Message") or error_code(exc))
        if error_code(exc) == _GONE:
            raise DeployError(f"Bedrock has no model {model}: {message}", "Choose another: docs/managed.md.") from exc
        return None if error_code(exc) == _ACCEPTED else message
    return None


def _lifecycle(lifecycle: dict[str, Any]) -> tuple[Sufficiency, str, str]:
    """Verdict, state, and advice."""
    end = lifecycle.get("endOfLifeTime")
    if end is not None and end <= datetime.now(UTC):
        return Sufficiency.BLOCKS, f"ended on {end:%Y-%m-%d}", "calls fail: choose another model"
    if lifecycle.get("status") != "LEGACY":
        return Sufficiency.ENOUGH, "active" if end is None else f"active until {end:%Y-%m-%d}", ""
    ends = f"ends on {end:%Y-%m-%d}" if end is not None else "ends on a day that AWS has not named"
    extended = lifecycle.get("publicExtendedAccessTime")
    dearer = "" if extended is None else f", and may cost more from {extended:%Y-%m-%d}"
    return Sufficiency.SHORT, f"legacy: {ends}", f"then calls fail{dearer}: choose another model in time"
