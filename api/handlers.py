"""Lambda's shell: everything is made once, when the function loads, and stays warm."""
# ruff: noqa: E402

import gc

# While modules load, the collector finds nothing to free, but takes a fifth of a cold start.
gc.disable()

import logging
import os
from typing import Any

from api.access_log import request_line
from api.door import Door
from api.errors import InvalidRequestError, RequestError
from api.faces.alpha import NOWHERE
from api.http import Download, Stream, Wait
from api.lambda_events import proxy_answer, request_of
from api.services import Services
from api.waiting import waited
from runtimes.spec import load

_MAX_WAIT_S = 25.0
"""API Gateway waits 29 seconds."""

logger = logging.getLogger(__name__)
logging.getLogger("api").setLevel(logging.INFO)
_services = Services.from_environment(os.environ)
for _runtime in _services.catalog:
    for _checks in filter(None, (_runtime.runtime_type.checks, _runtime.runtime_type.warnings)):
        load(_checks)  # while the function loads, its processor is at its fastest
_door = Door(_services)
gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Answer one request of API Gateway (Lambda proxy integration)."""
    try:
        request = request_of(event, _services.settings.api_keys)
    except InvalidRequestError as exc:
        return proxy_answer(NOWHERE.error(exc))
    answer = _door.answer(request)
    if isinstance(answer, Wait):
        job = waited(answer, _services.jobs, max_s=_MAX_WAIT_S)
        answer = _door.rendered(request, answer, job)
    if isinstance(answer, Stream | Download):
        # API Gateway sends these to the function that streams.
        message = "This function does not stream; its API sends events and files through another."
        answer = _door.refused(request, RequestError(406, "no_streaming", message))
    # API Gateway's own log has the path's template alone, because of the tokens in some.
    logger.info("%s %d", request_line(request.method, f"/{request.path}"), answer.status)
    return proxy_answer(answer)
