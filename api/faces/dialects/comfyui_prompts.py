"""Prompts, as ComfyUI calls jobs: their ids, their places in queue and history, and the files they saved.

A client may choose the id of its prompt; a note then leads from it to the newest job that it stands for. All other
prompts have their job's id.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import Any

from api.errors import RequestError
from api.faces.dialects.dialect import DialectCall
from api.operations.history import JobFilter
from api.operations.outputs import StoredFile
from contract.ids import JOB_ID_PATTERN
from contract.notice import JobError
from jobs import notes
from jobs.job import Job, JobState
from jobs.schema import KEY
from runtimes.comfyui.graph import split

TASK_ID = "comfyui"
"""What the jobs of this dialect are called, by which they are found."""
WAITING = (JobState.ACCEPTED, JobState.QUEUED)
OPEN = (*WAITING, JobState.RUNNING)
ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
INTERRUPTED = "InterruptProcessingException"
WEBSOCKET_CLASS = "SaveImageWebsocket"
"""The node whose pictures clients get by the websocket; ComfyUI has no files of them."""
MAX_QUEUED = 1000
MAX_ID_CHARS = 200
_LISTED_S = 24 * 3600
_REMEMBERED = 64
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,200}")
"""Names of files that need no encoding in a URL: some clients do not encode them."""
_IN_NODE = re.compile(r"(?P<type>.+?) \(node (?P<id>.+?)\): (?P<words>.+)", re.DOTALL)
"""How agents begin what a node of ComfyUI says."""


def prompt_id_of(job: Job) -> str:
    """A job's prompt id."""
    return str(_told(job).get("prompt_id") or job.id)


def client_id_of(job: Job) -> str | None:
    """The client to whose websocket a prompt belongs."""
    return _told(job).get("client_id")


def remember(call: DialectCall, prompt_id: str, job: Job) -> None:
    """Let an id that a client has chosen stand for a job."""
    call.services.jobs.run(notes.keep(call.tenant, _note(prompt_id), {"job": job.id}, time.time()))


def find(call: DialectCall, prompt_id: str) -> Job | None:
    """The job of a prompt id; None where the caller has none."""
    if re.fullmatch(JOB_ID_PATTERN, prompt_id):
        with suppress(RequestError):
            return call.job(prompt_id)
    job = call.services.jobs.run(notes.read(call.tenant, _note(prompt_id))).get("job")
    with suppress(RequestError):
        return None if job is None else call.job(job)
    return None


def count(call: DialectCall) -> int:
    """How many of the caller's prompts have not ended."""
    return sum(1 for _ in _ids(call, OPEN, MAX_QUEUED))


def listed(call: DialectCall, states: Sequence[JobState], most: int) -> list[Job]:
    """The caller's newest prompts of the last day, the oldest first."""
    ids = list(_ids(call, states, most))
    found = call.services.jobs.get_many(ids)
    return [found[job] for job in reversed(ids) if job in found and found[job].state in states]


def number_of(job: Job) -> int:
    """A prompt's number: later ones have higher ones."""
    return int(job.created_s * 1000)


def graph_of(call: DialectCall, job: Job) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """A prompt's nodes by id, and what was sent beside them; empty where they were not kept."""
    with suppress(RequestError):
        graph, beside = split(call.services.history.content(job))
        return (graph if isinstance(graph, dict) else {}), beside
    return {}, {}


class Saved:
    """The files of a job that has ended, as ComfyUI's history has them: by node, and by the kind of output."""

    def __init__(self, call: DialectCall, job: Job, graph: Mapping[str, Any]) -> None:
        self.files: dict[str, StoredFile] = {}
        """By the names under which clients fetch them."""
        self.streamed: list[tuple[str, StoredFile]] = []
        """Those that clients get by the websocket, with their nodes."""
        self._call, self._job = call, job
        self._named: defaultdict[str, list[str]] = defaultdict(list)
        senders = [node for node, one in graph.items() if one.get("class_type") == WEBSOCKET_CLASS]
        for (_, known), file in zip(job.results, call.files(job), strict=True):
            theirs = known.name if known is not None and known.name else ""
            name = theirs if _PLAIN.fullmatch(theirs) and theirs not in self.files else file.name
            self.files[name] = file
            self._named[theirs].append(name)
            if not theirs and senders:
                self.streamed.append((senders[min(len(self.streamed), len(senders) - 1)], file))

    @cached_property
    def outputs(self) -> dict[str, dict[str, list[Any]]]:
        """What each node gave, by its kind, such as images."""
        answered = self._call.manifest(self._job).get("answer") or {}
        return {
            node: {kind: list(self._shown(items)) for kind, items in given.items() if isinstance(items, list)}
            for node, given in (answered.get("outputs") or {}).items()
            if isinstance(given, dict)
        }

    def _shown(self, items: list[Any]) -> Iterator[Any]:
        """What a node gave; of its files those that were stored, with the names and the folder that they have here."""
        for item in items:
            if not isinstance(item, dict) or "filename" not in item:
                yield item
            elif item.get("type") == "output" and (names := self._named.get(str(item["filename"]))):
                yield {"filename": names.pop(0), "subfolder": self._job.id, "type": "output"}


def ending(job: Job, graph: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The events with which a prompt ends that has failed or was cancelled: those that end every client's wait."""
    prompt, error = {"prompt_id": prompt_id_of(job)}, job.error or JobError(code=job.state.value, message="")
    match = _IN_NODE.match(error.message)
    node = match["id"] if match and match["id"] in graph else next(iter(graph), "")
    node_type = graph[node].get("class_type", "") if node else ""
    where: dict[str, Any] = {**prompt, "node_id": node, "node_type": node_type, "executed": []}
    kind, words = error.code, match["words"] if match else error.message
    events = []
    if job.state is JobState.CANCELLED:
        events.append(("execution_interrupted", where))
        kind = INTERRUPTED
    details: dict[str, Any] = {"exception_type": kind, "exception_message": words, "traceback": []}
    inputs: dict[str, Any] = {"current_inputs": {}, "current_outputs": []}
    return [*events, ("execution_error", {**where, **details, **inputs})]


class HistoryEntries:
    """Entries of the history; those of jobs that have ended do not change, so that the newest are remembered."""

    def __init__(self) -> None:
        self._remembered: dict[str, dict[str, Any]] = {}

    def entry(self, call: DialectCall, job: Job) -> dict[str, Any]:
        """A prompt's entry."""
        if (entry := self._remembered.get(job.id)) is None:
            entry = self._remembered[job.id] = _entry(call, job)
            while len(self._remembered) > _REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)), None)
        return entry


def _entry(call: DialectCall, job: Job) -> dict[str, Any]:
    graph, beside = graph_of(call, job)
    prompt_id, is_done = prompt_id_of(job), job.state is JobState.SUCCEEDED
    started = ("execution_start", {"prompt_id": prompt_id, "timestamp": number_of(job)})
    events = [started, *([("execution_success", started[1])] if is_done else ending(job, graph))]
    return {
        "prompt": [number_of(job), prompt_id, graph, beside.get("extra_data") or {}, []],
        "outputs": Saved(call, job, graph).outputs if is_done else {},
        "status": {
            "status_str": "success" if is_done else "error",
            "completed": is_done,
            "messages": [list(event) for event in events],
        },
        "meta": {},
    }


def _ids(call: DialectCall, states: Sequence[JobState], most: int) -> Iterator[str]:
    wanted = JobFilter(states=states, task_id=TASK_ID, since_s=time.time() - _LISTED_S)
    return (str(row[KEY]) for row in islice(call.services.history.rows(call.tenant, wanted), most))


def _told(job: Job) -> Mapping[str, Any]:
    return job.context if isinstance(job.context, dict) else {}


def _note(prompt_id: str) -> str:
    return f"comfyui/prompts/{prompt_id}"
