"""The face of API v1: finds the route, reads the request for it, and writes rejections as problem details."""

from pydantic import BaseModel, ValidationError

from api.errors import InvalidRequestError, RequestError, UnauthorizedError
from api.faces.v1 import (
    batches,
    files,
    icons,
    jobs,
    keys,
    outputs,
    pictures,
    reference,
    runtimes,
    usage,
    webhooks,
    workflows,
)
from api.faces.v1.problems import PROBLEM, problem_of
from api.faces.v1.routes import ApiCall, Route
from api.http import JSON, Answer, Request, Response
from api.request import FORM, media_type_of, read_json
from api.services import Services
from contract.field_errors import FieldError, field_errors_of

ROUTES: list[Route] = [
    *jobs.ROUTES.table,
    *runtimes.ROUTES.table,
    *outputs.ROUTES.table,
    *pictures.ROUTES.table,
    *files.ROUTES.table,
    *webhooks.ROUTES.table,
    *workflows.ROUTES.table,
    *batches.ROUTES.table,
    *icons.ROUTES.table,
    *usage.ROUTES.table,
    *keys.ROUTES.table,
    *reference.ROUTES.table,
]


class V1Face:
    """API v1."""

    def answer(self, request: Request, services: Services) -> Answer:
        """Answer a request."""
        path = request.path.partition("/")[2]
        matches = [(route, values) for route in ROUTES if (values := route.match(path)) is not None]
        # A path that is written down is no value of another's name.
        matches = [(route, values) for route, values in matches if not values] or matches
        if not matches:
            raise RequestError(404, "not_found", "No such path; GET /v1/docs describes those there are.")
        found = next(((route, values) for route, values in matches if route.method == request.method), None)
        if found is None:
            allowed = ", ".join(sorted({route.method for route, _ in matches}))
            message = f"{request.method} is not allowed; use {allowed}."
            raise RequestError(405, "method_not_allowed", message, headers={"Allow": allowed})
        route, values = found
        if not route.is_public and request.caller.tenant is None:
            raise UnauthorizedError
        is_form = route.takes_form and media_type_of(request) == FORM
        is_json = route.body is not None and route.media_type == JSON and not is_form
        body = read_json(request) if is_json else None
        call = ApiCall(request=request, services=services, path=values, query=_query(route, request), body=body)
        return route.handler(call)

    def error(self, error: RequestError) -> Response:
        """A rejection as problem details (RFC 9457)."""
        body = problem_of(error).model_dump(mode="json", exclude_none=True)
        return Response.json(error.status, body, error.headers, media_type=PROBLEM)


FACE = V1Face()


def _query(route: Route, request: Request) -> BaseModel | None:
    if route.query is None:
        return None
    try:
        return route.query.model_validate(request.query)
    except ValidationError as exc:
        found = field_errors_of(exc, route.query, request.query)
        raise InvalidRequestError([FieldError(f"?{error.pointer}", error.detail) for error in found]) from None
