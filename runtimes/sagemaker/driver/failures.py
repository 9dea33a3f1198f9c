"""Why a call of SageMaker failed, and what that means for the job."""

import json
import logging
import re
from http import HTTPStatus

from botocore.exceptions import ClientError

from queue_agent.errors import (
    AgentError,
    DeadlineExceeded,
    ExecutionFailed,
    Rejected,
    ServerError,
    ServiceRefused,
    StartedTooLate,
    Throttled,
)
from runtimes._managed import ServiceAnswer, error_of
from runtimes._wording import is_out_of_room, shorten

logger = logging.getLogger(__name__)

_STATUS = re.compile(r"\((\d{3})\)")
"""As in "Received client error (400) from primary with message …", SageMaker's words for a container's answer."""
_NOT_READY = re.compile(r"no capacity|not (in service|inservice|ready)|\b(creating|updating)\b", re.IGNORECASE)
_NO_ENDPOINT = re.compile(r"endpoint .*(not found|could not find|does not exist)|not.*async|async.*not", re.IGNORECASE)
_POINTER = re.compile(r"\s*See https://\S+ in account \S+ for more information\.?")
"""SageMaker's last sentence about a container's error, where the log is: for the operator, and not for callers."""
_TIMED_OUT = re.compile(r"timed out", re.IGNORECASE)
_EXPIRED = re.compile(r"expired|\bTTL\b", re.IGNORECASE)
_MAX_CHARS = 20_000
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


def refusal(exc: ClientError) -> AgentError:
    """What it means that SageMaker, or the container through it, answers a call with an error."""
    code, words, _ = ServiceAnswer.of(exc)
    if code == "ModelError":
        answered = int(exc.response.get("OriginalStatusCode") or 0)
        return model_error(answered, str(exc.response.get("OriginalMessage") or words))
    if code == "ValidationError" and _NOT_READY.search(words):
        return Throttled("The endpoint is not in service.")
    if code == "ValidationError" and _NO_ENDPOINT.search(words):
        logger.error("the endpoint cannot be called: %s", words)
        return ServiceRefused("SageMaker has no endpoint that is called so; the agent's log has its words.")
    return error_of(exc)


def failure_of(data: bytes) -> AgentError:
    """What the object at a call's failure location says."""
    text = data[:_MAX_CHARS].decode("utf-8", "replace")
    status, words = 0, text
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if isinstance(said, dict):
        status = next((said[key] for key in ("OriginalStatusCode", "status") if isinstance(said.get(key), int)), 0)
        found = (said.get(key) for key in ("OriginalMessage", "failureReason", "message", "Message", "detail", "error"))
        words = str(next(filter(None, found), text))
    if not status and (named := _STATUS.search(words)):
        status = int(named[1])
    if not status and _TIMED_OUT.search(words):
        return DeadlineExceeded("The endpoint did not end with the request before the job's execution deadline.")
    if not status and _EXPIRED.search(words):
        return StartedTooLate("The endpoint had no instance for the request in time; see queueSeconds.")
    return model_error(status, words)


def model_error(status: int, words: str) -> AgentError:
    """What a container's answer means: 4xx is about the request, everything else about the endpoint."""
    words = shorten(_POINTER.sub("", words)) or f"The endpoint's container answers {status}."
    if is_out_of_room(words) or status in _PASSING:
        return ServerError(words)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return ServiceRefused(words)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Rejected(words)
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return ExecutionFailed(words)
    return ServerError(words)
