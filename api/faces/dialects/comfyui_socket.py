"""ComfyUI's websocket: what becomes of the prompts of one client, in the events that ComfyUI sends.

Nothing of it is kept in the process: the prompts of a client are looked up in the table, whichever process took them.
"""

import asyncio
import json
import logging
import struct
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from api.errors import RequestError
from api.faces.dialects import comfyui_prompts as prompts
from api.faces.dialects.dialect import DialectCall
from api.http import Request
from api.operations.history import JobFilter
from api.operations.outputs import StoredFile
from api.services import Services
from api.watching import Watcher
from contract.ids import first_job_id
from jobs.dynamodb import AWS_ERRORS, error_name
from jobs.job import Job, JobState
from jobs.schema import KEY
from runtimes.comfyui.graph import is_node, node_names

_LOOK_EVERY_S = 0.5
_UNENDED_S = 24 * 3600
_BEFORE_S = 10.0
"""A new websocket also gets the events of prompts posted shortly before, even of those that have ended."""
_INDEX_LAG_S = 0.25
"""Within which the index of a tenant's jobs nearly always has one that was just accepted."""
_SPEAK_EVERY_S = 5.0
"""While a prompt has not ended: clients take a websocket that is silent for 10 s for broken."""
_AFTER_ANSWER_S = 0.1
"""Some clients miss events that come before the answer to their POST."""
_FAILED_PAUSE_S = 2.0
_MAX_FOLLOWED = 32
"""Prompts of a client that are watched at once; the others wait in the queue behind them."""
_PREVIEW, _JPEG, _PNG = 1, 1, 2
"""The kind of a binary message, and of the picture in it."""

Message = dict[str, Any] | bytes
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)


async def serve(request: Request, services: Services, watcher: Watcher, send: Send) -> None:
    """Tell a client of its prompts until this is cancelled; ``send`` is ASGI's, of a websocket that is open."""
    call = DialectCall(dialect="comfyui", request=request, services=services, path={})
    try:
        await _ClientSocket(call, watcher, send).run()
    except* AWS_ERRORS as errors:  # the client opens another
        logger.warning("a websocket ends: %s", error_name(errors.exceptions[0]))


class PromptEvents:
    """Writes what has changed from one state of a prompt to the next. Calls block."""

    def __init__(self, call: DialectCall, job: Job) -> None:
        self._call = call
        self._graph, _ = prompts.graph_of(call, job)
        nodes = {node_id: node for node_id, node in self._graph.items() if is_node(node)}
        self._nodes = {name: node_id for node_id, name in node_names(nodes).items()}
        self._prompt = {"prompt_id": prompts.prompt_id_of(job)}
        self._has_begun = False
        self._node: str | None = None
        self._step: tuple[int | None, int | None] = (None, None)
        self._previewed_s: float | None = None

    def messages(self, job: Job) -> Iterator[Message]:
        """What is new; the last message of a prompt that has ended says that no node runs any more."""
        if job.state in prompts.WAITING:
            return
        if not self._has_begun:
            self._has_begun = True
            stamped = {**self._prompt, "timestamp": int(time.time() * 1000)}
            yield _event("execution_start", stamped)
            yield _event("execution_cached", {"nodes": [], **stamped})
        if job.state is JobState.RUNNING:
            yield from self._progress(job)
            return
        if job.state is JobState.SUCCEEDED:
            yield from self._success(job)
        else:
            yield from (_event(kind, data) for kind, data in prompts.ending(job, self._graph))
        yield self._executing(None)

    def _progress(self, job: Job) -> Iterator[Message]:
        node = self._nodes.get(job.stage or "")
        if node is not None and node != self._node:
            self._node = node
            yield self._executing(node)
        if job.step is not None and (job.step, job.steps) != self._step:
            self._step = (job.step, job.steps)
            yield _event("progress", {"value": job.step, "max": job.steps, **self._prompt, "node": self._node})
        if (preview := self._call.preview(job)) is not None and job.previewed_s != self._previewed_s:
            self._previewed_s = job.previewed_s
            yield from self._picture(preview)

    def _success(self, job: Job) -> Iterator[Message]:
        saved = prompts.Saved(self._call, job, self._graph)
        for node, output in saved.outputs.items():
            yield self._executing(node)
            yield _event("executed", {"node": node, "display_node": node, "output": output, **self._prompt})
        for node, file in saved.streamed:
            yield self._executing(node)
            yield from self._picture(file)
        yield _event("execution_success", {**self._prompt, "timestamp": int(time.time() * 1000)})

    def _picture(self, file: StoredFile) -> Iterator[bytes]:
        with suppress(RequestError):  # a preview goes as its job ends
            data = self._call.bytes_of(file)
            yield struct.pack(">II", _PREVIEW, _PNG if data.startswith(b"\x89PNG") else _JPEG) + data

    def _executing(self, node: str | None) -> Message:
        return _event("executing", {"node": node, "display_node": node, **self._prompt})


class _ClientSocket:
    """A client with its websocket open."""

    def __init__(self, call: DialectCall, watcher: Watcher, send: Send) -> None:
        self._call = call
        self._watcher = watcher
        self._send = send
        self._id = call.request.query.get("clientId", "")[: prompts.MAX_ID_CHARS] or uuid.uuid4().hex
        self._seen: set[str] = set()
        self._unended: set[str] = set()
        self._places = asyncio.Semaphore(_MAX_FOLLOWED)
        self._spoke_s = 0.0

    async def run(self) -> None:
        """Tell the client of its prompts for ever."""
        async with asyncio.TaskGroup() as group:
            looked_s = time.time()
            if not await self._look(looked_s - _UNENDED_S, group, prompts.OPEN):
                await asyncio.sleep(_INDEX_LAG_S)
            await self._look(looked_s - _BEFORE_S, group)
            await self._tell_status(sid=self._id)
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                since_s, looked_s = looked_s - _BEFORE_S, time.time()
                try:
                    found = await self._look(since_s, group)
                except AWS_ERRORS as exc:
                    logger.warning("no look for new prompts: %s", error_name(exc))
                    looked_s = since_s + _BEFORE_S
                    continue
                if found or (self._unended and looked_s - self._spoke_s >= _SPEAK_EVERY_S):
                    await self._tell_status()

    async def _look(self, since_s: float, group: asyncio.TaskGroup, states: tuple[JobState, ...] = ()) -> bool:
        """Begin to follow the client's prompts since a time that have not been seen; say whether there are any."""
        found = await asyncio.to_thread(self._new, since_s, states)
        self._unended |= {job.id for job in found}
        for job in found:
            group.create_task(self._follow(job))
        return bool(found)

    async def _follow(self, job: Job) -> None:
        """Tell what becomes of a prompt until it has ended."""
        async with self._places:
            await asyncio.sleep(_AFTER_ANSWER_S)
            while True:
                try:
                    await self._tell_all(job)
                    break
                except AWS_ERRORS as exc:
                    logger.warning("not told: job %s, %s", job.id, error_name(exc))
                    await asyncio.sleep(_FAILED_PAUSE_S)
        self._unended.discard(job.id)
        await self._tell_status()

    async def _tell_all(self, job: Job) -> None:
        latest = await asyncio.to_thread(self._call.services.jobs.get, job.id)
        if latest is None:  # it has expired
            return
        events = await asyncio.to_thread(PromptEvents, self._call, latest)
        await self._tell(events, latest)
        if not latest.state.is_final:
            async with aclosing(self._watcher.changes(latest)) as changes:
                async for latest in changes:
                    await self._tell(events, latest)
                    if latest.state.is_final:
                        return

    async def _tell(self, events: PromptEvents, job: Job) -> None:
        for message in await asyncio.to_thread(list, events.messages(job)):
            await self._tell_one(message)

    async def _tell_status(self, **more: str) -> None:
        """Tell how many of the client's own prompts have not ended; at 0 some clients wait no longer."""
        status = {"status": {"exec_info": {"queue_remaining": len(self._unended)}}}
        await self._tell_one(_event("status", {**status, **more}))

    async def _tell_one(self, message: Message) -> None:
        sent = {"bytes": message} if isinstance(message, bytes) else {"text": json.dumps(message)}
        self._spoke_s = time.time()
        await self._send({"type": "websocket.send", **sent})

    def _new(self, since_s: float, states: tuple[JobState, ...]) -> list[Job]:
        wanted = JobFilter(task_id=prompts.TASK_ID, states=states, since_s=since_s)
        rows = self._call.services.history.rows(self._call.tenant, wanted)
        ids = [job for row in rows if (job := str(row[KEY])) not in self._seen]
        found = self._call.services.jobs.get_many(ids)
        first = first_job_id(since_s)
        self._seen = {job for job in self._seen if job >= first} | set(found)
        mine = [found[job] for job in reversed(ids) if job in found]
        return [job for job in mine if prompts.client_id_of(job) == self._id]


def _event(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "data": data}
