"""What the API's gateway itself refuses: the door's own words for errors that never reach the door."""

from dataclasses import dataclass
from typing import Any

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Lambda takes no larger event, and API Gateway hands requests over as events."""
INTEGRATION_TIMEOUT_S = 29
"""API Gateway waits no longer for the door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayError:
    """A refusal.

    Attributes:
        status: HTTP status; None leaves the gateway's own.
        code: One word for programs.
        message: A sentence for people.
        retry_after_s: When the caller may try again; None where that is no use.
    """

    status: int | None
    code: str
    message: str
    retry_after_s: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of every refusal, in the door's shape."""
        return {"error": {"code": self.code, "message": self.message, "details": []}}


UNAUTHORIZED = GatewayError(
    status=401, code="unauthorized", message="The x-api-key header is missing, or is not a known key."
)
THROTTLED = GatewayError(
    status=429, code="throttled", message="Too many requests with this key; slow down.", retry_after_s=1
)
QUOTA_EXCEEDED = GatewayError(status=429, code="throttled", message="This key has used up its quota.")
TOO_LARGE = GatewayError(
    status=413, code="too_large", message=f"The request is larger than {MAX_PAYLOAD_BYTES // 1024**2} MB."
)
UNSUPPORTED_MEDIA_TYPE = GatewayError(
    status=415, code="unsupported_media_type", message="Send Content-Type: application/json, in UTF-8."
)
BLOCKED = GatewayError(status=403, code="forbidden", message="The firewall before the API refuses this request.")
TIMEOUT = GatewayError(status=504, code="timeout", message=f"No answer within {INTEGRATION_TIMEOUT_S} seconds.")
BROKEN = GatewayError(status=502, code="internal_error", message="The request could not be handled.")
REFUSED = GatewayError(status=None, code="refused", message="The gateway refuses this request.")
FAILED = GatewayError(status=None, code="internal_error", message="The request could not be handled.")
