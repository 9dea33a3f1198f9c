"""The steps that calls are made of, so that the sync and the async client share the same code.

A call is a generator: it yields steps, and the client that runs it sends back each result. This module does no I/O.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from sd_on_eks.errors import ApiError, UnexpectedAnswer, Unreachable, error_of

logger = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

ANSWER_TIMEOUT_S = 35.0
"""API Gateway answers within 29 seconds."""
_FIRST_PAUSE_S = 0.5
_MAX_PAUSE_S = 8.0
_TOO_MANY = 429
_LOST = frozenset({502, 503, 504})
"""The API may or may not have carried out the request."""


@dataclass(frozen=True)
class Send:
    """Send a request, and retry while the API is busy. The result is a successful response or a redirect.

    Attributes:
        path: Path below ``/v1``, or a whole URL. Only the API itself gets the key.
        is_repeatable: Whether sending it twice has the same effect as sending it once.
        is_stream: Whether ``ReadText`` reads the body.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    files: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = ANSWER_TIMEOUT_S
    is_repeatable: bool = True
    is_stream: bool = False


@dataclass(frozen=True)
class Attempt:
    """Send a request once; the result is an ``httpx.Response``."""

    request: Send


@dataclass(frozen=True)
class ReadText:
    """Read the next piece of a stream; the result is None at the end."""

    response: httpx.Response


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Do:
    """Call a blocking function, such as one that writes a file. The result is what it returns."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Give a value to the caller."""

    value: T


Step = Send | Attempt | ReadText | Pause | Do
Flow = Generator[Step, Any, T]
"""A call with one result."""
Stream = Generator[Step | Emit[T], Any, None]
"""A call with many results."""


def attempts(request: Send, patience_s: float) -> Flow[httpx.Response]:
    """Send a request until it succeeds, for up to ``patience_s`` seconds.

    A warning is logged before the second repetition, so that nobody waits without knowing for what.

    Raises:
        ApiError: The API rejects the request, or is still busy.
        Unreachable: The API does not answer.
    """
    ends_s = time.monotonic() + patience_s
    for number, pause_s in enumerate(_pauses()):
        problem: ApiError | Unreachable
        try:
            response: httpx.Response = yield Attempt(request)
        except httpx.TransportError as exc:
            # For other URLs name only the host: the rest may be secret.
            path = "" if "://" in request.path else exc.request.url.path
            place = f"{exc.request.url.scheme}://{exc.request.url.netloc.decode()}{path}"
            problem = Unreachable(f"{request.method} {place}: no answer ({str(exc) or repr(exc)}).")
            problem.__cause__ = exc
            is_unsent = isinstance(exc, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
            may_repeat, after_s = request.is_repeatable or is_unsent, pause_s
        else:
            if not response.is_error:
                return response
            problem = error_of(response)
            may_repeat = problem.status == _TOO_MANY or (request.is_repeatable and problem.status in _LOST)
            after_s = max(pause_s, problem.retry_after_s or 0)
        if not may_repeat or time.monotonic() + after_s > ends_s:
            raise problem
        if number == 1:
            logger.warning("%s Trying again for %.0f s.", problem, ends_s - time.monotonic())
        yield Pause(after_s)
    raise AssertionError  # pauses never end


def read(model: type[M], response: httpx.Response) -> M:
    """Parse a JSON answer.

    Raises:
        UnexpectedAnswer: The answer does not fit the model.
    """
    try:
        return model.model_validate_json(response.content)
    except ValidationError as exc:
        url = response.url.copy_with(query=None)
        problem = f"{url} answers {response.status_code}, but not like API v1. Check the URL."
        raise UnexpectedAnswer(problem) from exc


def emitting(flow: Flow[T]) -> Stream[T]:
    """Turn a call with one result into one that emits it."""
    yield Emit((yield from flow))


def _pauses() -> Iterator[float]:
    """Yield growing pauses with jitter, so that callers do not all retry at once."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s * random.uniform(0.5, 1.0)  # noqa: S311
        pause_s = min(2 * pause_s, _MAX_PAUSE_S)
