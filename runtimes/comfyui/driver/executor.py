"""Drives ComfyUI: posts a workflow, watches it end, fetches what it saved."""

import asyncio
import hashlib
import io
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache, partial
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from contract.task import Task
from queue_agent.errors import NoOutput, ServerError
from queue_agent.media import Media
from queue_agent.ports import Capacity, Inputs, Output, Result, RunSignals
from queue_agent.settings import Settings
from runtimes._http import Answer, ModelServerClient, read_json, write_json
from runtimes._queued import JobReport, QueuedServer
from runtimes._wording import shorten
from runtimes.comfyui.checks import TARGETS
from runtimes.comfyui.driver.events import EventStream, PromptWatch
from runtimes.comfyui.driver.history import SavedFile, ending_error, has_other_results, refusal, saved_files
from runtimes.comfyui.driver.leftovers import UPLOAD_FOLDER, Leftovers
from runtimes.comfyui.driver.workflow import Workflow, file_sites, inputs_in, workflow_of

_RECONCILE_S = 2.0
"""How often history and queue are asked although the websocket says nothing."""
_RECORDED_S = 0.05
"""How long after a prompt's end to wait for the websocket to say that the history holds it."""
_CONNECT_S = 5.0
_MODELS_FOLDER = "3d"
"""Nodes that load a mesh accept only files below it."""
_NO_PATHS = frozenset({".", ".."})


class ComfyUI(QueuedServer[Workflow, PromptWatch]):
    """The driver of runtime type comfyui. A job is a prompt there, under the job's id on the server.

    Args:
        client: The server.
    """

    capacity = Capacity(ahead=True)  # the server's own queue holds the next job, which can be withdrawn by its id

    def __init__(self, client: ModelServerClient) -> None:
        super().__init__(client)
        self._client_id = uuid.uuid4().hex
        scheme = "wss" if client.base_url.scheme == "https" else "ws"
        url = (client.base_url / "ws").with_scheme(scheme).with_query(clientId=self._client_id)
        self._events = EventStream(str(url))
        self._leftovers = Leftovers(client)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver."""
        return cls(ModelServerClient(settings.api_base_url, settings.runtime_type.pod.health_path))

    async def wait_until_ready(self) -> None:
        """Return once the server takes jobs."""
        await self._client.wait_until_ready()

    async def prepare(self, task: Task, inputs: Inputs) -> Workflow:
        """Read the task's workflow and upload its inputs: what its links point to, and what stands in it."""
        workflow = await asyncio.to_thread(workflow_of, task)
        sites = [
            site
            for class_type, texts in (await asyncio.to_thread(inputs_in, workflow)).items()
            for site in file_sites(workflow, texts, await self._declaration(class_type))
        ]
        fetched = await inputs.fetch([site.input for site in sites]) if sites else {}
        try:
            names = {text: await self._upload(media, workflow) for text, media in fetched.items()}
        except BaseException:
            self._leftovers.discard(workflow.uploads)
            raise
        for site in sites:
            site.replace(names[site.input.text])
        return workflow

    async def run(self, prepared: Workflow, job: str, claim: int, signals: RunSignals) -> Result:
        """Run a workflow to its end, or adopt its earlier run on this server."""
        connected = await self._events.wait_until_connected(_CONNECT_S)
        if prepared.sends_pictures_by_websocket and not connected:
            raise ServerError("The model server's websocket cannot be reached.")
        return await super().run(prepared, job, claim, signals)

    async def liveness_token(self) -> object:
        """How many events the websocket has brought, and which prompts run."""
        return self._events.heard, _prompt_ids((await self._queue(timeout_s=5)).get("queue_running"))

    def discard(self, prepared: Workflow, *, over: bool) -> None:
        """Remove what a job left on the server; unless it is over, its results stay for its next claim to adopt."""
        if not over:
            self._leftovers.keep(prepared.prompt_id)
        self._leftovers.discard(prepared.uploads, prepared.prompt_id if over else None)

    async def aclose(self) -> None:
        """Close connections."""
        await self._leftovers.aclose()
        await self._events.aclose()
        await super().aclose()

    def _can_adopt(self, prepared: Workflow) -> bool:
        return not prepared.sends_pictures_by_websocket  # they went to the client that posted it

    @contextmanager
    def _watch(self, prepared: Workflow, server_job: str, signals: RunSignals) -> Iterator[PromptWatch]:
        prepared.name_files_after(server_job)
        with self._events.watch(server_job, prepared, signals) as watch:
            yield watch

    async def _submit(self, prepared: Workflow, server_job: str) -> None:
        request = {
            "prompt": prepared.graph,
            "client_id": self._client_id,
            "prompt_id": server_job,
            "extra_data": prepared.extra_data,
            **({} if prepared.targets is None else {TARGETS: prepared.targets}),
        }
        response = await self._client.send(
            "POST",
            "prompt",
            data=await asyncio.to_thread(write_json, request),
            headers={"Content-Type": "application/json"},
        )
        if response.status != HTTPStatus.OK:
            raise refusal(response.status, _json_or_none(response), prepared.graph)
        answer = read_json(response.body)
        if not isinstance(answer, dict) or answer.get("prompt_id") != server_job:
            raise ServerError("The model server ignores the job's id; ComfyUI 0.3.44 or later is required.")
        if answer.get("node_errors"):
            # Only the valid part of the workflow would run; what was asked for cannot come.
            await self._withdraw(server_job)
            raise refusal(response.status, answer, prepared.graph)

    async def _follow(self, server_job: str, watch: PromptWatch) -> None:  # noqa: ARG002 (the socket's watch is its own)
        """Return when the history is worth a look: the websocket says so, or it has said nothing for a while."""
        if await _is_set_within(watch.ended, _RECONCILE_S):
            await _is_set_within(watch.recorded, _RECORDED_S)

    async def _report(self, server_job: str) -> JobReport | None:
        if (entry := await self._history(server_job)) is None:
            queue = await self._queue()
            if server_job in _prompt_ids(queue.get("queue_running")):
                return JobReport(state="running")
            if server_job in _prompt_ids(queue.get("queue_pending")):
                return JobReport(state="waiting")
            if (entry := await self._history(server_job)) is None:  # it may have ended between the two looks
                return None
        error = ending_error(entry)
        return JobReport(state="failed" if error else "succeeded", error=error, details=entry)

    async def _result(self, prepared: Workflow, server_job: str, report: JobReport, watch: PromptWatch) -> Result:  # noqa: ARG002 (the watch knows them)
        return await asyncio.to_thread(self._collect, report.details, watch)

    async def _waiting(self) -> Sequence[str]:
        return _prompt_ids((await self._queue()).get("queue_pending"))

    async def _withdraw(self, server_job: str) -> None:
        # In this order: between the two a waiting prompt may begin.
        await self._client.send("POST", "queue", json={"delete": [server_job]}, timeout_s=10)
        await self._client.send("POST", "interrupt", json={"prompt_id": server_job}, timeout_s=10)

    async def _history(self, prompt_id: str) -> dict[str, Any] | None:
        history = await self._client.get_json(f"history/{prompt_id}")
        entry = history.get(prompt_id) if isinstance(history, dict) else None
        return entry if isinstance(entry, dict) else None

    async def _queue(self, **options: Any) -> dict[str, Any]:
        queue = await self._client.get_json("queue", **options)
        return queue if isinstance(queue, dict) else {}

    def _collect(self, entry: dict[str, Any], watch: PromptWatch) -> Result:
        workflow = watch.workflow
        seed_of = cache(workflow.seed_of)  # a node may save thousands of files, below thousands of others
        outputs = [
            Output(partial(self._read, file), seed_of(file.node_id), file.parameters["filename"])
            for file in saved_files(entry, workflow)
        ]
        outputs += [Output(picture, seed_of(node_id)) for node_id, picture in watch.pictures]
        if watch.lacks_pictures:
            raise NoOutput("The workflow sends more than 512 MiB of pictures by websocket; let it save them instead.")
        if workflow.sends_pictures_by_websocket and not watch.pictures and not watch.blocked:
            raise ServerError("The websocket closed before the pictures arrived.")
        if not outputs and not has_other_results(entry):
            reasons = f" ({shorten('; '.join(watch.blocked))})" if watch.blocked else ""
            raise NoOutput(f"The workflow ended and saved nothing{reasons}; let it end in a node that saves.")
        answer = {"outputs": entry.get("outputs"), "status": entry.get("status")}
        return Result(outputs=outputs, parameters=workflow.graph, answer=answer)

    @asynccontextmanager
    async def _read(self, file: SavedFile) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._client.stream("GET", "view", params=file.parameters) as answer:
            if answer.status != HTTPStatus.OK:
                raise ServerError(f"The model server answers {answer.status} to a file it has saved.")
            yield answer.chunks

    async def _upload(self, media: Media, workflow: Workflow) -> str:
        """Upload a file under a name made of its content, so that two jobs that share a name share the content."""
        digest = (await asyncio.to_thread(hashlib.sha256, media.data)).hexdigest()
        name = f"{digest[:32]}.{media.extension}"
        folder = UPLOAD_FOLDER if media.is_media else f"{_MODELS_FOLDER}/{UPLOAD_FOLDER}"
        workflow.uploads.append(f"{folder}/{name}")
        await self._leftovers.hold(workflow.uploads[-1])
        form = aiohttp.FormData({"type": "input", "subfolder": folder, "overwrite": "true"})
        form.add_field("image", io.BytesIO(media.data), filename=name, content_type=media.content_type)
        response = await self._client.send("POST", "upload/image", data=form)
        match _json_or_none(response) if response.status == HTTPStatus.OK else None:
            case {"name": str(stored), **more} if stored:
                return f"{inside}/{stored}" if (inside := more.get("subfolder")) else stored
        raise ServerError(f"The model server answers {response.status} to an upload.")

    async def _declaration(self, class_type: str) -> dict[str, Any]:
        if class_type in _NO_PATHS:
            return {}  # no class has such a name, and a client takes it for another path
        # Asked for each time: a server that was restarted may have other nodes.
        info = await self._client.get_json(f"object_info/{quote(class_type, safe='')}")
        declaration = info.get(class_type) if isinstance(info, dict) else None
        return declaration if isinstance(declaration, dict) else {}  # of an unknown class /prompt will say so


async def _is_set_within(event: asyncio.Event, timeout_s: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    return event.is_set()


def _prompt_ids(items: Any) -> list[str]:
    """The prompts in one of the queue's lists."""
    listed = items if isinstance(items, list) else []
    return [item[1] for item in listed if isinstance(item, list) and len(item) > 1 and isinstance(item[1], str)]


def _json_or_none(answer: Answer) -> Any:
    try:
        return read_json(answer.body)
    except ServerError:
        return None
