"""The front door: passes a request to its version of the API, and turns exceptions into answers."""

import logging
from dataclasses import replace
from importlib import import_module
from typing import TypeVar

from api.faces import DEFAULT, FACES, Face
from api.http import Answer, Download, Request, Response, Stream, Wait
from api.rejections import rejection_of
from api.services import Services
from jobs.job import Job

_CORS_MAX_AGE_S = 3600
_CORS_HEADERS = "*, authorization"
"""Clients of other APIs send headers of their own with each request; no * stands for this one (Fetch, "CORS protocol").
A page has no rights here but by the key that it sends."""
_CORS_EXPOSED = "etag, location, retry-after, x-request-id, x-fal-request-id, x-fal-error-type"

AnswerT = TypeVar("AnswerT", bound=Response | Stream | Download)

logger = logging.getLogger(__name__)


class Door:
    """Answers requests. ``services`` is passed to the faces."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._origins = services.settings.cors_origins.split()

    def answer(self, request: Request) -> Answer:
        """Answer one request; never raises."""
        if request.method == "OPTIONS" and self._origins:
            return self._with_cors(request, Response(status=204))
        face = _face_of(request)
        try:
            answer = face.answer(request, self._services)
        except Exception as exc:  # noqa: BLE001 (a shell would answer in a form of its own)
            return self.refused(request, exc)
        return answer if isinstance(answer, Wait) else self._with_cors(request, answer)

    def rendered(self, request: Request, wait: Wait, job: Job) -> Response | Download:
        """The answer to a request that waited, with the latest state of its job."""
        try:
            return self._with_cors(request, wait.render(job))
        except Exception as exc:  # noqa: BLE001 (as above)
            return self.refused(request, exc)

    def refused(self, request: Request, exc: Exception) -> Response:
        """The answer to a request that failed."""
        return self._with_cors(request, _face_of(request).error(rejection_of(exc)))

    def _with_cors(self, request: Request, answer: AnswerT) -> AnswerT:
        return replace(answer, headers={**answer.headers, **self._cors_headers(request)})

    def _cors_headers(self, request: Request) -> dict[str, str]:
        """The headers that let a page of an allowed origin read the answer; none for other callers."""
        origin = request.headers.get("origin", "")
        if not origin or not ({origin, "*"} & set(self._origins)):
            return {}
        headers = {
            "Access-Control-Allow-Origin": origin,
            "Vary": "Origin",
            "Access-Control-Expose-Headers": _CORS_EXPOSED,
        }
        if request.method == "OPTIONS":
            headers |= {
                "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
                "Access-Control-Allow-Headers": _CORS_HEADERS,
                "Access-Control-Max-Age": str(_CORS_MAX_AGE_S),
            }
        return headers


def _face_of(request: Request) -> Face:
    """The face of a path, which is imported by the first request for it; DEFAULT for all other paths."""
    module, name = FACES.get(request.path.partition("/")[0], DEFAULT)
    face: Face = getattr(import_module(module), name)
    return face
