"""What the API's gateway decides itself: which paths need no key, and how it rejects what never reaches the door."""

import re
from dataclasses import dataclass
from typing import Any

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Lambda takes no larger event, and API Gateway hands requests over as events."""
INTEGRATION_TIMEOUT_S = 29
"""API Gateway waits no longer for the door."""
STREAM_TIMEOUT_S = 15 * 60
"""Neither API Gateway nor Lambda lets an answer that is streamed last longer."""
DIALECTS = ("openai", "replicate", "fal", "runpod", "comfy", "comfyui-api", "sdwebui")
"""First parts of the paths of dialects that the gateway serves."""
EVENTS_PATH = "/v1/jobs/{job}/events"
OUTPUTS_PATH = "/v1/outputs/{proxy+}"
PREDICTION_STREAM_PATH = "/replicate/v1/stream/{token}"
STREAMED_PATHS = (
    EVENTS_PATH,
    OUTPUTS_PATH,
    "/v1/jobs/{job}/outputs/{proxy+}",
    "/v1/jobs/{job}/preview",
    PREDICTION_STREAM_PATH,
    # API Gateway does not go back from a part that it knows to the {proxy+} above it.
    *("/replicate/v1", "/replicate/v1/{proxy+}", "/replicate/v1/stream"),
    *(path for name in DIALECTS for path in (f"/{name}", f"/{name}/{{proxy+}}")),
)
"""Paths whose answers may last longer than INTEGRATION_TIMEOUT_S, or are the bytes of files of any size."""
PICTURE_LINK_PATH = "/v1/pictures/link"
PUBLIC_PATHS = (OUTPUTS_PATH, PREDICTION_STREAM_PATH, PICTURE_LINK_PATH, "/v1/openapi.json", "/v1/docs")
"""Paths that need no key: links that carry a signature, and the description of the API."""
CONSOLE_PATHS = ("/console", "/console/{proxy+}")
"""Paths of the console, which need no key either: its page asks for one. On AWS only where config.yaml has it."""


def path_pattern(*templates: str) -> re.Pattern[str]:
    """The paths that API Gateway's resources of these templates answer."""
    names = re.compile(r"\\{\w+(\\\+)?\\}")
    texts = (names.sub(lambda name: ".+" if name[1] else "[^/]+", re.escape(template)) for template in templates)
    return re.compile(f"(?:{'|'.join(texts)})/?")


@dataclass(frozen=True, slots=True)
class GatewayError:
    """A rejection: its HTTP status (None leaves the gateway's own), a word for programs, a sentence for people."""

    status: int | None
    code: str
    message: str
    retry_after_s: int | None = None
    """When the caller may try again; None where that is no use."""

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of every rejection, in the door's shape."""
        return {"error": {"code": self.code, "message": self.message, "details": []}}


UNAUTHORIZED = GatewayError(
    401, "unauthorized", "The API key is missing or not known; send it as x-api-key or in Authorization."
)
THROTTLED = GatewayError(429, "throttled", "Too many requests with this key; slow down.", retry_after_s=1)
QUOTA_EXCEEDED = GatewayError(429, "throttled", "This key has used up its quota.")
TOO_LARGE = GatewayError(413, "too_large", f"The request is larger than {MAX_PAYLOAD_BYTES // 1024**2} MB.")
UNSUPPORTED_MEDIA_TYPE = GatewayError(415, "unsupported_media_type", "Send Content-Type: application/json, in UTF-8.")
BLOCKED = GatewayError(403, "forbidden", "The firewall before the API refuses this request.")
TIMEOUT = GatewayError(504, "timeout", f"No answer within {INTEGRATION_TIMEOUT_S} seconds.")
BROKEN = GatewayError(502, "internal_error", "The request could not be handled.")
REFUSED = GatewayError(None, "refused", "The gateway refuses this request.")
FAILED = GatewayError(None, "internal_error", "The request could not be handled.")
