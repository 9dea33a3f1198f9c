"""What all dialects share: how a request finds its handler, and what a handler needs of it.

A dialect is a module with a table of calls, a function that writes errors in its API's own form, and its ``Dialect``.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from api.errors import InvalidRequestError, RequestError, UnauthorizedError
from api.http import Answer, Caller, Request, Response
from api.operations.generation import Sender, Wanted
from api.operations.models import Model
from api.operations.outputs import StoredFile
from api.paths import path_values
from api.request import idempotency_key, traceparent
from api.services import Services
from contract import strict_json
from contract.field_errors import FieldError
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

    def model(self, name: str) -> Model:
        """The model of a name; raises UnknownModelError."""
        return self.services.models.find(self.dialect, name, self.tenant)

    def picture(self, model: Model, values: Mapping[str, Any]) -> Wanted:
        """The task of a picture; as ``Generations.picture``."""
        return self.services.generations.picture(model, values, self.tenant)

    def with_webhook(self, wanted: Wanted, url: str, events: Sequence[JobEvent] = ("completed",)) -> Wanted:
        """The task with a webhook whose body is ``courier.formats.FORMATS``'s for this dialect.

        Raises:
            InvalidRequestError: Webhooks cannot be sent to this URL.
        """
        if errors := self.services.webhook_errors(url):
            raise InvalidRequestError(errors)
        form = WebhookForm(dialect=self.dialect, base_url=self.request.base_url)
        return replace(wanted, webhook=Webhook(url=url, events=tuple(events)), webhook_form=form)

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

    def bytes_of(self, file: StoredFile) -> bytes:
        """The bytes of a result."""
        return b"".join(self.services.outputs.open(file).pieces())

    def url_of(self, file: StoredFile) -> str:
        """A link to a result that needs no key, takes no harm from one, and answers with the bytes themselves."""
        return f"{self.request.base_url}/{self.services.outputs.signed(file).path}?redirect=false"


Handler = Callable[[DialectCall], Answer]
ErrorForm = Callable[[RequestError], Response]
"""Writes a rejection in the dialect's form."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A face that answers the clients of another API.

    Attributes:
        calls: Method, path below the dialect's own, and handler; the first that matches answers.
        error: Writes rejections.
    """

    name: str
    calls: Sequence[tuple[str, str, Handler]]
    error: ErrorForm

    def answer(self, request: Request, services: Services) -> Answer:
        """Answer a request."""
        if request.caller.tenant is None:
            raise UnauthorizedError
        path = request.path.partition("/")[2]
        matches = [
            (method, handler, values)
            for method, template, handler in self.calls
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
