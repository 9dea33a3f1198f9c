"""HTTP between a shell and a face: the request as the shell read it, and what the shell does for an answer.

A shell is what receives requests: Lambda's handler, or the ASGI application. A face is one version of the API.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from pydantic import BaseModel

from contract import strict_json
from jobs.job import Job

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sends a request, by its API key; never the key itself.

    Attributes:
        tenant: The key's id; None without a key.
        is_admin: Whether it may see the jobs of all tenants.
        jobs_per_day: Maximum number of jobs that it may submit in a day (UTC); None means no limit.
        queued_jobs: Maximum number of its jobs that may wait at once; None means no limit.
    """

    tenant: str | None = None
    is_admin: bool = False
    jobs_per_day: int | None = None
    queued_jobs: int | None = None

    @property
    def has_budget(self) -> bool:
        """Whether the number of its jobs is limited."""
        return self.jobs_per_day is not None or self.queued_jobs is not None

    @classmethod
    def of(cls, tenant: str | None, keys: str) -> Self:
        """The caller with a key's id; ``keys`` is JSON with what each id may do.

        A key that the configuration does not know, such as one made by hand, belongs to a user.
        """
        known = json.loads(keys or "{}").get(tenant, {})
        limits = {name: known.get(name) for name in ("jobs_per_day", "queued_jobs")}
        return cls(tenant=tenant, is_admin=known.get("role") == "admin", **limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        path: The path after the API's base, without slashes at its ends.
        query: Its parameters; the last value of a repeated one.
        headers: By their names in lower case.
        base_url: The URL by which the caller reached the API, without a slash at its end.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    caller: Caller = Caller()
    base_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer that is ready."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def json(cls, status: int, value: Any, headers: Mapping[str, str] | None = None, *, media_type: str = JSON) -> Self:
        """An answer in JSON; ``value`` may be a model."""
        value = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        body = strict_json.utf8(value).encode("utf-8", "surrogatepass")
        return cls(status=status, headers={"Content-Type": media_type, **(headers or {})}, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """An answer that is sent once a job has reached a state, or after some time; the shell waits as long as it can.

    Attributes:
        job: The job's state when the request came.
        is_over: Whether a state of the job ends the wait.
        seconds: How long the caller wants to wait.
        render: The answer for the last state seen.
    """

    job: Job
    is_over: Callable[[Job], bool]
    seconds: float
    render: "Callable[[Job], Response | Download]"


class EventSource(Protocol):
    """Turns a job's states into server-sent events."""

    def events(self, job: Job, now_s: float) -> Iterator[str]:
        """Yield what is new since the last call, as text of the event stream."""

    def is_due(self, now_s: float) -> bool:
        """Whether something besides the job itself may have changed, such as its place in the queue."""

    def cut(self, job: Job) -> str:
        """The last event of a stream that the shell ends before the job has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer of server-sent events, until the job has ended or the caller goes."""

    job: Job
    source: EventSource
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An answer of a file's bytes, or of JSON with files in it.

    Attributes:
        pieces: Starts to read it.
    """

    headers: Mapping[str, str]
    size_bytes: int
    pieces: Callable[[], Iterator[bytes]]


Answer = Response | Wait | Stream | Download
