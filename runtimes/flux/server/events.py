"""A job's changes as server-sent events (html.spec.whatwg.org, section 9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from runtimes.flux.server.job_book import JobBook
from runtimes.flux.server.jobs import Change, Job

MEDIA_TYPE = "text/event-stream"
_ALIVE_S = 15.0


async def job_events(job: Job, book: JobBook) -> AsyncIterator[bytes]:
    """Tell a job's state as it is, then each change; a job that has ended ends the stream.

    A comment is sent now and then, so that a caller who is gone is noticed.
    """
    with job.followed() as changes:
        ended = job.has_ended
        yield _event("state", book.row(job))
        if ended:
            yield _event("end", book.row(job))
            return
        while True:
            change = await _next_of(changes)
            if change is None:
                yield b": alive\n\n"
                continue
            yield _event(change.kind, change.content)
            if change.kind == "end":
                return


async def _next_of(changes: asyncio.Queue[Change]) -> Change | None:
    try:
        async with asyncio.timeout(_ALIVE_S):
            return await changes.get()
    except TimeoutError:
        return None


def _event(kind: str, content: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n".encode()
