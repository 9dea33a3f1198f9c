"""Verifying webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from sd_on_eks.errors import InvalidWebhook
from sd_on_eks.models import AnswerModel

TOLERANCE_S = 5 * 60
"""Maximum difference between a webhook's time and this machine's clock."""
_MAX_DIGITS = 12


class WebhookEvent(AnswerModel):
    """The content of a webhook."""

    type: str
    """job.started, job.progress, job.output or job.completed."""
    timestamp: datetime
    """When it happened."""
    data: dict[str, Any]
    """The job: its ``job``, ``state``, ``images`` with their s3:// links, ``error``, ``context`` and more."""


def verify_webhook(payload: bytes | str, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    """Verify that a webhook comes from the platform, and parse it.

    A webhook can arrive more than once: use its ``webhook-id`` header to handle it only once.

    Args:
        payload: The raw body. Do not parse and serialize it first.
        headers: The request's headers; case does not matter.
        secret: The ``secret`` that ``webhook_secret`` returns.

    Raises:
        InvalidWebhook: The webhook was not signed with the secret, or is more than five minutes old.
        ValueError: The secret is not a webhook secret.
    """
    body = payload.encode() if isinstance(payload, str) else payload
    given = {name.lower(): value for name, value in headers.items()}
    try:
        webhook_id, timestamp, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as exc:
        raise InvalidWebhook(f"The webhook has no header {exc.args[0]}.") from None
    is_time = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _MAX_DIGITS
    if not is_time or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        raise InvalidWebhook("The webhook was not sent within five minutes of now.")
    expected = _signature(secret, f"{webhook_id}.{timestamp}.".encode() + body)
    if not any(hmac.compare_digest(expected, one) for one in signatures.encode("utf-8", "replace").split()):
        raise InvalidWebhook("No signature of the webhook was made with this secret.")
    try:
        return WebhookEvent.model_validate_json(body)
    except ValidationError as exc:
        raise InvalidWebhook("The webhook is signed, but is not an event.") from exc


def _signature(secret: str, message: bytes) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError("A webhook secret is whsec_ followed by base64.") from exc
    return b"v1," + base64.b64encode(hmac.digest(key, message, "sha256"))
