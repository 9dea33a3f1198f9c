"""The table of API v1's routes: each says what it takes and answers, from which the OpenAPI document is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api.errors import InvalidRequestError, RequestError
from api.http import Answer, Caller, Request
from api.paths import path_values
from api.services import Services
from contract.field_errors import field_errors_of

ALL_TENANTS = "*"
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """A request that was matched and read.

    Attributes:
        path: The values of the template's names.
        query: An instance of the route's ``query``; None where it has none.
        body: The JSON of the body, not validated; None for routes without one.
    """

    request: Request
    services: Services
    path: Mapping[str, str]
    query: Any
    body: Any

    def read_body(self, model: type[Model]) -> Model:
        """Read the body; raise InvalidRequestError with all its errors."""
        try:
            return model.model_validate(self.body)
        except ValidationError as exc:
            raise InvalidRequestError(field_errors_of(exc, model, self.body)) from None

    @property
    def caller(self) -> Caller:
        """Who sends it."""
        return self.request.caller

    @property
    def tenant(self) -> str:
        """The caller's tenant; routes that use it need a key."""
        return self.request.caller.tenant or ""

    def whose(self, tenant: str | None) -> str:
        """The tenant whose jobs to show: the caller itself, or for an admin any tenant.

        Raises:
            RequestError: The caller is no admin (403).
        """
        if tenant is not None and tenant != self.tenant and not self.caller.is_admin:
            raise RequestError(403, "forbidden", "Only a key with the role admin sees the jobs of others.")
        return tenant or self.tenant

    def tenants(self, asked: str | None) -> list[str]:
        """The same of a list; ``*`` stands for the caller and all keys of the configuration. Raises as ``whose``."""
        if asked != ALL_TENANTS:
            return [self.whose(asked)]
        self.whose(asked)
        return sorted({self.tenant, *self.services.settings.keys})


Handler = Callable[[ApiCall], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    Attributes:
        template: The path after ``/v1``, with names in braces; a last one that ends in ``...`` takes slashes.
        answers: The models of its answers by status; the media type of one that is no JSON, None for one without a
            body.
        body: The model of its body.
        media_type: Of its body; JSON is parsed before the handler is called.
        takes_form: Whether it takes a form with a file as well.
        is_public: Whether it needs no key.
        headers: The request's headers that it reads, besides those of the body.
        problems: The statuses of rejections of its own, such as 409.
    """

    method: str
    template: str
    handler: Handler
    answers: Mapping[int, Any]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    media_type: str = "application/json"
    takes_form: bool = False
    is_public: bool = False
    headers: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()

    def match(self, path: str) -> dict[str, str] | None:
        """The values of the template's names in a path; None where it does not match."""
        return path_values(self.template, path)


@dataclass(frozen=True, slots=True)
class Routes:
    """Routes, each added by a decorator of its handler."""

    table: list[Route] = field(default_factory=list)

    def add(self, method: str, template: str, **options: Any) -> Callable[[Handler], Handler]:
        """Add a route; options as of ``Route``."""

        def decorate(handler: Handler) -> Handler:
            self.table.append(Route(method=method, template=template, handler=handler, **options))
            return handler

        return decorate
