"""One line for each request: method, path, status, time, and what was wrong with it."""

import json
import logging
import re
from http import HTTPStatus
from typing import Any

_MAX_REASON_CHARS = 400
_SIGNED = re.compile(r"(?<=v1/outputs/)[^/]+")
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)')

logger = logging.getLogger(__name__)


def log_request(method: str, path: str, status: int, took_s: float, body: Any = None) -> None:
    """Log a request; its path has no query, and a body of bytes may hold its errors."""
    request = f"{method} {without_token(path)}"
    is_refused = status >= HTTPStatus.BAD_REQUEST
    reason = _reason(body) if is_refused and isinstance(body, bytes) else ""
    logger.log(
        logging.WARNING if is_refused else logging.INFO, "%s %d %.0f ms%s", request, status, took_s * 1000, reason
    )


def without_token(path: str) -> str:
    """A path without what lets anybody fetch an output."""
    return _SIGNED.sub("…", path)


def _reason(body: bytes) -> str:
    """The errors of an answer: fields and problems, or the message.

    Quoted values are left out, because a prompt or a link may be in the wrong field.
    """
    try:
        answer = json.loads(body)
        error = answer.get("error") or answer
        rows = error.get("details") or error.get("errors") or []
        texts = [
            " ".join((row.get("field") or row.get("pointer", ""), row.get("problem") or row["detail"])) for row in rows
        ]
        problems = [_VALUE.sub("…", text).strip() for text in texts]
        return f": {'; '.join(problems) or error.get('message') or error['detail']}"[:_MAX_REASON_CHARS]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
