"""What all dialects share: how a request finds its handler, and what a handler needs of it.

A dialect is a module with a table of calls, a function that writes errors in its API's own form, and its ``Dialect``.
"""

import base64
import json
import math
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from api.errors import InvalidRequestError, RequestError, UnauthorizedError
from api.http import JSON, Answer, Caller, Download, Request, Response
from api.operations.generation import Sender, Wanted, digest_of
from api.operations.models import Model
from api.operations.outputs import OpenFile, StoredFile
from api.paths import path_values
from api.request import FormPart, idempotency_key, read_form, steady_body, traceparent
from api.services import Services
from contract import strict_json
from contract.field_errors import FieldError, field_errors_of
from contract.webhooks import JobEvent, Webhook, WebhookForm
from jobs.job import Job
from jobs.links import ResultLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectCall:
    """A request that found its handler.

    Attributes:
        dialect: The dialect's name, as in config.yaml.
        path: The values of the template's names.
    """

    dialect: str
    request: Request
    services: Services
    path: Mapping[str, str]

    @property
    def caller(self) -> Caller:
        """Who sends it."""
        return self.request.caller

    @property
    def tenant(self) -> str:
        """Whose jobs, files and workflows it is about."""
        return self.caller.tenant or ""

    @property
    def base_url(self) -> str:
        """The dialect's own URL, without a slash at its end."""
        return f"{self.request.base_url}/{self.dialect}"

    def json(self) -> dict[str, Any]:
        """The body, an object of JSON whatever its Content-Type says; {} where there is none.

        Raises:
            InvalidRequestError: It is anything else.
        """
        try:
            body = strict_json.loads(self.request.body) if self.request.body else {}
        except ValueError as exc:
            raise InvalidRequestError([FieldError("", str(exc))]) from None
        if not isinstance(body, dict):
            raise InvalidRequestError([FieldError("", "must be an object")])
        return body

    def form(self) -> list[FormPart]:
        """The parts of the body, a form; raises InvalidRequestError."""
        return read_form(self.request)

    def model(self, name: str) -> Model:
        """The model of a name; raises UnknownModelError."""
        return self.services.models.find(self.dialect, name, self.tenant)

    def picture(
        self,
        model: Model,
        values: Mapping[str, Any],
        inputs: Mapping[str, Any] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Wanted:
        """The task of a picture; as ``Generations.picture``. ``names`` are the dialect's for parameters, in errors."""
        try:
            return self.services.generations.picture(model, values, self.tenant, inputs)
        except InvalidRequestError as exc:
            errors = [FieldError(_sent_name(one.pointer, inputs or {}, names or {}), one.detail) for one in exc.errors]
            raise InvalidRequestError(errors) from None

    def with_webhook(self, wanted: Wanted, url: str, events: Sequence[JobEvent] = ("completed",)) -> Wanted:
        """The task with a webhook whose body is ``courier.formats.table.FORMATS``'s for this dialect.

        Raises:
            InvalidRequestError: Webhooks cannot be sent to this URL.
        """
        if errors := self.services.webhook_errors(url):
            raise InvalidRequestError(errors)
        try:
            webhook = Webhook(url=url, events=tuple(events))
        except ValidationError as exc:
            raise InvalidRequestError(field_errors_of(exc, Webhook, {"url": url}, ("webhook",))) from None
        form = WebhookForm(dialect=self.dialect, base_url=self.request.base_url)
        return replace(wanted, webhook=webhook, webhook_form=form)

    def submit(self, wanted: Wanted, *, digest: str = "", is_repeat: bool = False) -> Job:
        """Submit a task; ``digest`` and ``is_repeat`` are those of ``Sender``."""
        sender = Sender(
            caller=self.caller,
            key=idempotency_key(self.request),
            digest=digest,
            is_repeat=is_repeat,
            traceparent=traceparent(self.request),
        )
        return self.services.generations.submit(wanted, sender)

    def repeat(self) -> dict[str, Any]:
        """``digest`` and ``is_repeat`` of a request whose client counts its tries in a header; {} for others."""
        count = self.request.headers.get("x-stainless-retry-count")
        if count is None:
            return {}
        digest = digest_of(self.request.path.encode(), steady_body(self.request))
        return {"digest": digest, "is_repeat": count != "0"}

    def job(self, job: str) -> Job:
        """A job that the caller may see; raises RequestError (404)."""
        return self.services.history.get(self.caller, job)

    def cancel(self, job: Job) -> Job:
        """Cancel a job; raises JobStateError (409) where it has ended."""
        return self.services.history.cancel(job)

    @property
    def links(self) -> ResultLinks:
        """Makes links that need no key, take no harm from one, and answer with the bytes themselves."""
        return ResultLinks(base_url=self.request.base_url, root=self.services.signing_secret, now_s=time.time())

    def files(self, job: Job) -> list[StoredFile]:
        """A job's results, in order."""
        return self.services.outputs.files(job)

    def manifest(self, job: Job) -> Mapping[str, Any]:
        """How a job's results were made (docs/api.md, "Manifest"); {} where nothing says it."""
        file = self.services.outputs.manifest(job)
        found = {} if file is None else strict_json.loads(self.bytes_of(file), max_values=None)
        return found if isinstance(found, dict) else {}

    def preview(self, job: Job) -> StoredFile | None:
        """A running job's latest preview; None if there is none."""
        return self.services.outputs.preview(job)

    def bytes_of(self, file: StoredFile) -> bytes:
        """The bytes of a small file."""
        return b"".join(self.services.outputs.open(file).pieces())

    def base64(self, file: StoredFile, *, data_url: bool = False) -> "Base64":
        """A file as a value of ``JsonWithFiles``; raises RequestError (404) where it no longer exists."""
        opened = self.services.outputs.open(file)
        return Base64(opened, f"data:{opened.content_type};base64," if data_url else "")

    def url_of(self, file: StoredFile) -> str:
        """A link to a result that needs no key, takes no harm from one, and answers with the bytes themselves."""
        return f"{self.request.base_url}/{self.services.outputs.signed(file).path}?redirect=false"


def _sent_name(pointer: str, sent: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """What its sender calls the field of an error: a parameter of a picture, or an input of a workflow."""
    name = pointer.removeprefix("inputs.")
    return name if name in sent else names.get(name, name)


@dataclass(frozen=True, slots=True)
class Base64:
    """A file as a text in JSON, which is read while it is sent.

    Attributes:
        prefix: Begins the text.
    """

    file: OpenFile
    prefix: str = ""

    @property
    def size_bytes(self) -> int:
        """Size of the whole text."""
        return len(self.prefix) + 4 * -(-self.file.size_bytes // 3)

    def pieces(self) -> Iterator[bytes]:
        """The text, piece by piece."""
        yield self.prefix.encode()
        rest = b""
        for read in self.file.pieces():
            piece = rest + read
            whole = len(piece) - len(piece) % 3
            rest = piece[whole:]
            yield base64.b64encode(piece[:whole])
        yield base64.b64encode(rest)


class JsonWithFiles:
    """JSON in which files stand as ``Base64``; however large they are, little of them is in memory at a time."""

    def __init__(self, value: Any) -> None:
        self._files: list[Base64] = []
        mark = secrets.token_hex()

        def marked(one: Any) -> str:
            if not isinstance(one, Base64):
                raise TypeError(f"{type(one).__name__} is no JSON")
            self._files.append(one)
            return mark

        text = json.dumps(value, default=marked, separators=(",", ":"), allow_nan=False)
        self._texts = [one.encode() for one in text.split(mark)]

    @property
    def size_bytes(self) -> int:
        """Size of the whole."""
        return sum(map(len, self._texts)) + sum(file.size_bytes for file in self._files)

    def pieces(self) -> Iterator[bytes]:
        """The whole, piece by piece; none is empty."""
        first, *texts = self._texts
        yield first
        for file, text in zip(self._files, texts, strict=True):
            yield from filter(None, file.pieces())
            yield text

    def answer(self, headers: Mapping[str, str] | None = None) -> Download:
        """It as an answer."""
        headers = {"Content-Type": JSON, "Cache-Control": "no-store", **(headers or {})}
        return Download(headers=headers, size_bytes=self.size_bytes, pieces=self.pieces)


_RATIO = re.compile(r"(\d{1,3}):(\d{1,3})")
_RATIO_PIXELS, _RATIO_STEP = 1024 * 1024, 32


def sides_of(ratio: Any) -> tuple[int, int] | None:
    """Width and height of a picture of about a megapixel with an aspect ratio, as 16:9; None for what is no ratio."""
    found = _RATIO.fullmatch(ratio) if isinstance(ratio, str) else None
    if found is None or not (int(found[1]) and int(found[2])):
        return None
    width = math.sqrt(_RATIO_PIXELS * int(found[1]) / int(found[2]))
    sides = width, _RATIO_PIXELS / width
    return round(sides[0] / _RATIO_STEP) * _RATIO_STEP, round(sides[1] / _RATIO_STEP) * _RATIO_STEP


Handler = Callable[[DialectCall], Answer]
ErrorForm = Callable[[RequestError], Response]
"""Writes a rejection in the dialect's form."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A face that answers the clients of another API.

    Attributes:
        calls: Method, path below the dialect's own, and handler; the first that matches answers.
        error: Writes rejections.
        public: Calls that need no key, since their paths carry a right of their own.
    """

    name: str
    calls: Sequence[tuple[str, str, Handler]]
    error: ErrorForm
    public: Sequence[tuple[str, str, Handler]] = ()

    def answer(self, request: Request, services: Services) -> Answer:
        """Answer a request."""
        path = request.path.partition("/")[2]
        needs_key = not any(path_values(template, path) is not None for _, template, _ in self.public)
        if needs_key and request.caller.tenant is None:
            raise UnauthorizedError
        matches = [
            (method, handler, values)
            for method, template, handler in (self.calls if needs_key else self.public)
            if (values := path_values(template, path)) is not None
        ]
        if not matches:
            raise RequestError(404, "not_found", f"The dialect {self.name} has no such path; docs/dialects.md has all.")
        for method, handler, values in matches:
            if method == request.method:
                return handler(DialectCall(dialect=self.name, request=request, services=services, path=values))
        allowed = ", ".join(sorted({method for method, _, _ in matches}))
        message = f"{request.method} is not allowed; use {allowed}."
        raise RequestError(405, "method_not_allowed", message, headers={"Allow": allowed})
