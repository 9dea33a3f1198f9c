"""One line for each request: method, path, status, time, and what was wrong with it."""

import json
import logging
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

_MAX_REASON_CHARS = 400
_SIGNED = re.compile(r"(v1/+(?:outputs|uploads|stream)/+)[^/]+")
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)')

logger = logging.getLogger(__name__)


def log_request(method: str, path: str, status: int, took_s: float, body: Any = None) -> None:
    """Log a request; its path has no query, and a body of bytes may hold its errors."""
    is_refused = status >= HTTPStatus.BAD_REQUEST
    reason = _reason(body) if is_refused and isinstance(body, bytes) else ""
    logger.log(
        logging.WARNING if is_refused else logging.INFO,
        "%s %d %.0f ms%s",
        request_line(method, path),
        status,
        took_s * 1000,
        printable(reason),
    )


def request_line(method: str, path: str) -> str:
    """Method and path for a log, without what lets anybody fetch or send a file, however the path spells it."""
    shown = _SIGNED.sub(r"\1…", unquote(path))
    return printable(f"{method} {shown}")


def printable(text: str) -> str:
    """A text in one line, with nothing that a terminal obeys: paths and the names of fields are the caller's."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


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
