"""Reads the parts of a request for the faces: JSON body or form, idempotency key, trace."""

import hashlib
import re
from dataclasses import dataclass
from email import policy
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.http import JSON, Request
from api.operations.submission import IdempotencyKey
from contract import strict_json
from contract.field_errors import FieldError

FORM = "multipart/form-data"
MAX_BODY_BYTES = 10 * 1024 * 1024
"""As API Gateway."""
_MAX_PARTS = 50
_MAX_PART_HEAD_BYTES = 8 * 1024
IDEMPOTENCY_HEADER = "Idempotency-Key"

_KEY = re.compile(r"[ -~]{1,255}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent(request: Request) -> str | None:
    """The request's W3C trace context; None without a valid one."""
    value = request.headers.get("traceparent", "")
    return value if _TRACEPARENT.fullmatch(value) else None


def key_errors(request: Request) -> list[FieldError]:
    """Return the errors of a request's Idempotency-Key."""
    value = request.headers.get(IDEMPOTENCY_HEADER.lower())
    if value is None or _KEY.fullmatch(value):
        return []
    return [FieldError(IDEMPOTENCY_HEADER, "must be 1 to 255 printable ASCII characters")]


def idempotency_key(request: Request) -> IdempotencyKey | None:
    """A request's Idempotency-Key with the hash of its path and body; None if it has no key."""
    return _key(request, "", steady_body(request))


def part_key(request: Request, index: int, part: Any) -> IdempotencyKey | None:
    """The key of one part of a request's body, made from the request's own key; None if it has no key."""
    return _key(request, f"/{index}", strict_json.utf8(part).encode("utf-8", "surrogatepass"))


def _key(request: Request, suffix: str, body: bytes) -> IdempotencyKey | None:
    value = request.headers.get(IDEMPOTENCY_HEADER.lower())
    if value is None:
        return None
    return IdempotencyKey(f"{value}{suffix}", hashlib.sha256(f"{request.path}\n".encode() + body).hexdigest())


@dataclass(frozen=True, slots=True)
class FormPart:
    """A field of a form; ``file`` is what its sender calls the file that it is, and None where it is a text."""

    name: str
    file: str | None
    data: bytes

    @property
    def text(self) -> str:
        """Its text.

        Raises:
            InvalidRequestError: It is not UTF-8.
        """
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise InvalidRequestError([FieldError(self.name, "must be text in UTF-8")]) from None


def media_type_of(request: Request) -> str:
    """The type of a request's body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_form(request: Request) -> list[FormPart]:
    """Read a form (multipart/form-data, RFC 7578); the parts of a name are in their order.

    Raises:
        InvalidRequestError: It is no form.
    """
    boundary = _boundary(request)
    whole = b"\r\n" + request.body
    _, *parts = whole.split(b"\r\n--" + boundary, _MAX_PARTS) if boundary else [whole]
    if not parts or not parts[-1].startswith(b"--"):
        raise InvalidRequestError([FieldError("", "must be a form of a few parts that ends with its boundary")])
    return [part for part in map(_part_of, parts[:-1]) if part is not None]


def read_file(request: Request) -> FormPart:
    """Read the one file of a form; its other fields are not looked at.

    Raises:
        InvalidRequestError: It is no form, or has no file or several.
    """
    files = [part for part in read_form(request) if part.file is not None]
    if len(files) != 1:
        raise InvalidRequestError([FieldError("file", f"is required once: the form has {len(files)} files")])
    return files[0]


def steady_body(request: Request) -> bytes:
    """A request's body as it is each time that its client sends it: the boundary of a form is another each time."""
    boundary = _boundary(request) if media_type_of(request) == FORM else b""
    return request.body.replace(b"--" + boundary, b"--") if boundary else request.body


def _boundary(request: Request) -> bytes:
    message = Message()
    message["Content-Type"] = request.headers.get("content-type", "")
    return message.get_boundary("").encode("utf-8", "surrogateescape")


def _part_of(part: bytes) -> FormPart | None:
    """A part of a form; None where its head names nothing."""
    head, _, data = part.partition(b"\r\n\r\n")
    if len(head) > _MAX_PART_HEAD_BYTES:
        return None
    headers = BytesHeaderParser(policy=policy.HTTP).parsebytes(head.lstrip(b" \t\r\n"))
    name = headers.get_param("name", "", "content-disposition")
    return FormPart(str(name), headers.get_filename(), data)


def check_size(content: Any) -> None:
    """Make sure that a content that was put together here is one that could have been sent.

    Raises:
        RequestError: It is too large (413).
        InvalidRequestError: It has too many values.
    """
    body = strict_json.utf8(content).encode("utf-8", "surrogatepass")
    if len(body) > MAX_BODY_BYTES:
        message = f"With its changes the content is {len(body)} bytes of JSON; at most {MAX_BODY_BYTES} are allowed."
        raise RequestError(413, "too_large", message)
    try:
        strict_json.loads(body)
    except ValueError as exc:
        raise InvalidRequestError([FieldError("content", f"with its changes {exc}")]) from None


def read_json(request: Request) -> Any:
    """Read a body of JSON.

    Raises:
        RequestError: Another content type (415).
        InvalidRequestError: There is no body, or it is no JSON.
    """
    _, *parameters = [part.strip().lower() for part in request.headers.get("content-type", "").split(";")]
    charsets = {
        value.strip('"') for name, _, value in (part.partition("=") for part in parameters) if name == "charset"
    }
    if media_type_of(request) != JSON or not charsets <= {"utf-8", "utf8"}:
        raise RequestError(415, "unsupported_media_type", "Send Content-Type: application/json, in UTF-8.")
    if not request.body:
        raise InvalidRequestError([FieldError("", "has no body")])
    try:
        return strict_json.loads(request.body)
    except ValueError as exc:
        raise InvalidRequestError([FieldError("", str(exc))]) from None
