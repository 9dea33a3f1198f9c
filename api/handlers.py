"""Lambda's shell: everything is made once, when the function loads, and stays warm."""
# ruff: noqa: E402

import gc

# While modules load, the collector finds nothing to free, but takes a fifth of a cold start.
gc.disable()

import logging
import os
import time
from typing import Any

from api.door import Door
from api.errors import InvalidRequestError
from api.faces.alpha import NOWHERE
from api.http import Answer, Response, Wait
from api.lambda_events import proxy_answer, request_of
from api.services import Services
from jobs.store import JobStore
from runtimes.spec import load

_MAX_WAIT_S = 25.0
"""API Gateway waits 29 seconds."""
_FIRST_PAUSE_S = 0.25
_MAX_PAUSE_S = 1.0

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
    return proxy_answer(_ready(_door.answer(request), _services.jobs))


def _ready(answer: Answer, jobs: JobStore) -> Response:
    """An answer for a shell that cannot stream, after the waiting that it asks for."""
    if isinstance(answer, Wait):
        return answer.render(_waited(answer, jobs))
    if not isinstance(answer, Response):
        raise TypeError("events need the streaming function")
    return answer


def _waited(wait: Wait, jobs: JobStore) -> Any:
    """The last state of a job within the time that its caller waits; reads grow rarer, from 4 a second to 1."""
    job, pause_s = wait.job, _FIRST_PAUSE_S
    ends_s = time.monotonic() + min(wait.seconds, _MAX_WAIT_S)
    while not wait.is_over(job) and (left_s := ends_s - time.monotonic()) > 0:
        time.sleep(min(pause_s, left_s))
        pause_s = min(1.25 * pause_s, _MAX_PAUSE_S)
        job = jobs.get(job.id) or job
    return job
