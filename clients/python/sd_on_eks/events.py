"""Following a job: by server-sent events, or by long polling if they do not get through."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from sd_on_eks.calls.jobs import LONG_POLL_S, get, job_path
from sd_on_eks.errors import ApiError, Unauthorized, Unreachable
from sd_on_eks.models import AnswerModel, Job, LogLine, Output, Preview, Progress, QueuePlace, StateChange
from sd_on_eks.steps import Emit, Flow, Pause, ReadText, Send, Stream

_SILENCE_S = 45.0
"""The API sends a comment every 15 seconds."""
_MAX_CUTS = 3
_PAUSE_S = 1.0
_SIGNED = frozenset({"url", "expires_at"})
"""They differ each time the API reports the same output."""
_KINDS: Mapping[str, type[AnswerModel]] = {
    "state": StateChange,
    "queue": QueuePlace,
    "progress": Progress,
    "preview": Preview,
    "output": Output,
    "log": LogLine,
    "end": Job,
}

EventData = StateChange | QueuePlace | Progress | Preview | Output | LogLine | Job | dict[str, Any]


@dataclass(frozen=True)
class Event:
    """A change of a job.

    Attributes:
        kind: state, queue, progress, preview, output, log or, as the last one, end.
        version: The job's version.
        data: The model for this kind; for ``end`` the job, for kinds that this client does not know a dict.
    """

    kind: str
    version: int
    data: EventData


def watch(job: str | Job) -> Stream[Event]:
    """Follow a job until it has ended; the last event is ``end``, with the job.

    If the connection breaks, it is restored and the events continue where they stopped.

    Raises:
        NotFound: You have no such job.
        ApiError: The API rejects the request.
        Unreachable: The API no longer answers.
    """
    news = _News()
    cuts = 0
    while cuts < _MAX_CUTS and (response := (yield from _stream(job, news.resume_after))) is not None:
        cuts += 1
        stream = _EventReader()
        try:
            while (text := (yield ReadText(response))) is not None:
                for event in news.of(stream.feed(text)):
                    cuts = 0
                    yield Emit(event)
                    if event.kind == "end":
                        return
        except httpx.TransportError:
            pass
        yield Pause(_PAUSE_S)
    yield from _poll(job, news)


def _stream(job: str | Job, version: int) -> Flow[httpx.Response | None]:
    """Open the stream of a job's events; None if streams do not work here."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if version:
        headers["Last-Event-ID"] = str(version)
    try:
        response: httpx.Response = yield Send(
            "GET",
            f"{job_path(job)}/events",
            headers=headers,
            timeout_s=_SILENCE_S,
            is_repeatable=False,  # a proxy may hold streams back; polling shows whether the API answers at all
            is_stream=True,
        )
    except Unauthorized:
        raise
    except (ApiError, Unreachable):
        return None
    return response if response.headers.get("content-type", "").startswith("text/event-stream") else None


def _poll(job: str | Job, news: _News) -> Stream[Event]:
    latest = yield from get(job)
    while True:
        for event in news.of(_events(latest)):
            yield Emit(event)
        if latest.has_ended:
            return
        latest = yield from get(job, wait_s=LONG_POLL_S, since=latest.version)


def _events(job: Job) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Yield the events that a stream would send for a job's state."""
    told = job.model_dump(mode="json")
    yield "state", job.version, {"state": job.state, "attempts": job.attempts}
    if job.retry_reason:
        yield "log", job.version, {"message": job.retry_reason}
    if progress := told["progress"]:
        preview = progress.pop("preview")
        if any(value is not None for value in progress.values()):
            yield "progress", job.version, progress
        if preview:
            yield "preview", job.version, {"url": preview, "version": job.version}
    for output in (*told["images"], *told["files"]):
        yield "output", job.version, output
    if told["queue"]:
        yield "queue", job.version, told["queue"]
    if job.has_ended:
        yield "end", job.version, told


class _News:
    """Lets through only events that are new to the caller.

    Attributes:
        resume_after: The last version known to be complete. Events of a later one may be missing after a lost
            connection.
    """

    def __init__(self) -> None:
        self.resume_after = 0
        self._version = 0
        self._told: dict[str, Mapping[str, Any]] = {}

    def of(self, events: Iterator[tuple[str, int, Mapping[str, Any]]]) -> Iterator[Event]:
        for kind, version, data in events:
            if version > self._version:
                self.resume_after, self._version = self._version, version
            name = f"output {data.get('s3')}" if kind == "output" else kind
            gist = {key: value for key, value in data.items() if key not in _SIGNED}
            if self._told.get(name) != gist:
                self._told[name] = gist
                model = _KINDS.get(kind)
                yield Event(kind, version, dict(data) if model is None else model.model_validate(data))  # type: ignore[arg-type]


class _EventReader:
    """Reads events from the text of a stream (https://html.spec.whatwg.org/#server-sent-events)."""

    def __init__(self) -> None:
        self._rest = ""
        self._fields: dict[str, list[str]] = {}

    def feed(self, text: str) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
        """Add a piece of text; yield the events that it completes."""
        # Not splitlines: it would break JSON at characters such as U+2028.
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line:
                name, _, value = line.partition(":")
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
                continue
            fields, self._fields = self._fields, {}
            version = fields.get("id", ["0"])[-1]
            if "event" in fields and "data" in fields and version.isdecimal():
                yield fields["event"][-1], int(version), json.loads("\n".join(fields["data"]))
