"""A caller's Idempotency-Key: it stands for one request, however often that is sent."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from api.request import header
from contract.field_errors import FieldError

HEADER = "Idempotency-Key"

_FORM = re.compile(r"[ -~]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A key and the request it stands for.

    Attributes:
        value: The key as the caller sent it.
        body_sha256: Of the version of the API and the body, byte for byte.
    """

    value: str
    body_sha256: str

    @classmethod
    def of(cls, event: Mapping[str, Any], version: str, body: bytes) -> Self | None:
        """The key of a request without ``key_errors``; None where it has none."""
        value = header(event, HEADER)
        if value is None:
            return None
        return cls(value=value, body_sha256=hashlib.sha256(f"{version}\n".encode() + body).hexdigest())


def key_errors(event: Mapping[str, Any], *, has_table: bool) -> list[FieldError]:
    """Name what is wrong with a request's key.

    Args:
        event: The request.
        has_table: Whether there is a jobs table, in which keys could be kept.
    """
    value = header(event, HEADER)
    if value is None:
        return []
    if not has_table:
        return [FieldError(HEADER, "cannot be honoured: this platform runs without a jobs table; leave the header out")]
    return [] if _FORM.fullmatch(value) else [FieldError(HEADER, "must be 1 to 255 printable ASCII characters")]
