"""ComfyUI's own API, whose websocket is in ``comfyui_socket``: https://docs.comfy.org/development/comfyui-server/comms_routes.

What ComfyUI knows of one server, this dialect knows of one tenant: its queue, its history, its files.
"""

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.faces.dialects import comfyui_files as files
from api.faces.dialects import comfyui_nodes as nodes
from api.faces.dialects import comfyui_prompts as prompts
from api.faces.dialects.dialect import Dialect, DialectCall, Handler
from api.http import Answer, Response
from contract.field_errors import FieldError
from jobs.job import Job, JobState
from runtimes.comfyui.checks import EXTRA_DATA
from runtimes.comfyui.graph import TARGETS

_MAX_NAMED, _MAX_ENDED, _ENDED = 100, 200, 20
_HISTORY = prompts.HistoryEntries()
_NODE = re.compile(r"prompt\.(?P<node>[^.]+)(?:\.inputs)?(?:\.(?P<field>.+))?")
_PREVIEWS = "preview_method"
"""What asks for pictures of unfinished work, among a prompt's extra data (since December 2025)."""
_NO_PREVIEWS = (None, "none", "default")
_STATS = {
    "system": {
        "os": "posix",
        "comfyui_version": "0.3.64",
        "python_version": "3",
        "pytorch_version": "2",
        "embedded_python": False,
        "argv": [],
        "ram_total": 0,
        "ram_free": 0,
    },
    "devices": [],
}
"""ComfyUI's version is the one whose API this is. The model servers' own versions are not shown."""


def submit(call: DialectCall) -> Answer:
    """POST /prompt."""
    body, runtime = call.json(), nodes.runtime_of(call)
    prompt_id, client_id = body.get("prompt_id"), body.get("client_id") or call.request.query.get("clientId")
    if prompt_id is not None and not (isinstance(prompt_id, str) and 0 < len(prompt_id) <= prompts.MAX_ID_CHARS):
        raise InvalidRequestError(
            [FieldError("prompt_id", f"must be a string of up to {prompts.MAX_ID_CHARS} characters")]
        )
    if "prompt" not in body:
        raise InvalidRequestError([FieldError("prompt", "is required: a workflow")])
    beside = {name: body[name] for name in (EXTRA_DATA, TARGETS) if body.get(name) is not None}
    content = {"prompt": files.with_links(call, body["prompt"], runtime.live()), **beside}
    wanted = call.services.generations.content(runtime, content)
    asked = beside.get(EXTRA_DATA, {}).get(_PREVIEWS)
    told = {"prompt_id": prompt_id, "client_id": None if client_id is None else str(client_id)[: prompts.MAX_ID_CHARS]}
    wanted = replace(wanted, task_id=prompts.TASK_ID, context=told, keeps_previews=asked not in _NO_PREVIEWS)
    job = call.submit(wanted)
    if prompt_id is not None:
        prompts.remember(call, prompt_id, job)
    answer = {"prompt_id": prompts.prompt_id_of(job), "number": prompts.number_of(job), "node_errors": {}}
    return Response.json(200, answer)


def count(call: DialectCall) -> Answer:
    """GET /prompt: how many prompts have not ended."""
    return Response.json(200, {"exec_info": {"queue_remaining": prompts.count(call)}})


def queue(call: DialectCall) -> Answer:
    """GET /queue; its prompts without their nodes, which one request would have to read for each."""
    lists: dict[str, list[Any]] = {"queue_running": [], "queue_pending": []}
    for job in prompts.listed(call, prompts.OPEN, prompts.MAX_QUEUED):
        place = "queue_running" if job.state is JobState.RUNNING else "queue_pending"
        lists[place].append([prompts.number_of(job), prompts.prompt_id_of(job), {}, {}, []])
    return Response.json(200, lists)


def change_queue(call: DialectCall) -> Answer:
    """POST /queue: cancel prompts: all that wait, or those that are named.

    A prompt that is named may be running: a server has the next one in its own queue, and that counts as running here.
    """
    body = call.json()
    found: list[Job | None] = []
    if body.get("clear"):
        found += prompts.listed(call, prompts.WAITING, prompts.MAX_QUEUED)
    if isinstance(named := body.get("delete"), list):
        found += [prompts.find(call, str(one)) for one in named[:_MAX_NAMED]]
    for job in found:
        if job is not None:
            _cancel(call, job)
    return Response.json(200, {})


def interrupt(call: DialectCall) -> Answer:
    """POST /interrupt: cancel the prompt that is named, else the one that runs, else the one that is to run next."""
    if (prompt_id := call.json().get("prompt_id")) is not None:
        job = prompts.find(call, str(prompt_id))
    else:
        unended = prompts.listed(call, prompts.OPEN, prompts.MAX_QUEUED)
        job = next((one for one in unended if one.state is JobState.RUNNING), next(iter(unended), None))
    if job is not None:
        _cancel(call, job)
    return Response.json(200, {})  # not empty, as ComfyUI's: some clients read JSON


def history(call: DialectCall) -> Answer:
    """GET /history: the newest prompts that have ended."""
    most = call.request.query.get("max_items", "")
    wanted = min(int(most), _MAX_ENDED) if re.fullmatch(r"[0-9]{1,6}", most) else _ENDED
    ended = prompts.listed(call, prompts.ENDED, wanted)
    return Response.json(200, {prompts.prompt_id_of(job): _HISTORY.entry(call, job) for job in ended})


def history_of(call: DialectCall) -> Answer:
    """GET /history/{id}; {} until the prompt has ended."""
    job = prompts.find(call, call.path["prompt"])
    is_over = job is not None and job.state.is_final
    return Response.json(200, {call.path["prompt"]: _HISTORY.entry(call, job)} if job and is_over else {})


def constant(value: Any) -> Handler:
    """What is the same for everybody."""
    return lambda _: Response.json(200, value)


def error(rejection: RequestError) -> Response:
    """A rejection as ComfyUI writes it; errors of a workflow by node."""
    shown = {"type": rejection.code, "message": rejection.message, "details": "", "extra_info": {}}
    faulty: dict[str, Any] = {}
    if isinstance(rejection, InvalidRequestError):
        shown["details"] = "; ".join(f"{one.pointer} {one.detail}".strip() for one in rejection.errors)
        for one in rejection.errors:
            if match := _NODE.fullmatch(one.pointer):
                node = faulty.setdefault(match["node"], {"errors": [], "dependent_outputs": [], "class_type": ""})
                details = f"{match['field'] or ''} {one.detail}".strip()
                node["errors"].append({"type": "invalid", "message": details, "details": details, "extra_info": {}})
        if faulty:
            shown |= {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"}
    return Response.json(rejection.status, {"error": shown, "node_errors": faulty}, rejection.headers)


COMFYUI = Dialect(
    name="comfyui",
    calls=tuple(
        (method, f"{place}{path}", handler)
        for place in ("", "api/")  # some clients have this before each path, as ComfyUI's own page
        for method, path, handler in (
            ("POST", "prompt", submit),
            ("GET", "prompt", count),
            ("GET", "queue", queue),
            ("POST", "queue", change_queue),
            ("POST", "interrupt", interrupt),
            ("GET", "history", history),
            ("GET", "history/{prompt}", history_of),
            ("POST", "history", constant({})),
            ("GET", "view", files.view),
            ("POST", "upload/image", files.upload),
            ("GET", "object_info", nodes.object_info),
            ("GET", "object_info/{class...}", nodes.object_info),
            ("GET", "models", constant(["checkpoints", "loras", "vae", "upscale_models"])),
            ("GET", "models/{folder}", nodes.models),
            ("GET", "embeddings", constant([])),
            ("GET", "extensions", constant([])),
            ("GET", "features", constant({"supports_preview_metadata": False})),
            ("GET", "system_stats", constant(_STATS)),
            ("POST", "free", constant({})),
            ("GET", "", constant({})),
        )
    ),
    error=error,
)


def _cancel(call: DialectCall, job: Job) -> None:
    with suppress(RequestError):  # it has just ended
        call.cancel(job)
