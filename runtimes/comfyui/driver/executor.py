"""Drives ComfyUI: posts a workflow, watches it end, fetches what it saved."""

import asyncio
import hashlib
import io
import uuid
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp

from contract.task import Task
from queue_agent.errors import NoOutput, ServerError
from queue_agent.media import Media
from queue_agent.ports import Capacity, Inputs, Output, Result, RunSignals
from runtimes._http import ModelServerClient, write_json
from runtimes._queued import JobReport, QueuedServer
from runtimes._socket import socket_url
from runtimes._wording import shorten
from runtimes.comfyui.driver.catalog import catalog_of
from runtimes.comfyui.driver.events import EventStream, Prompt
from runtimes.comfyui.driver.history import ending_error, has_other_results, history_of, refusal, saved_files
from runtimes.comfyui.driver.leftovers import UPLOAD_FOLDER, Leftovers
from runtimes.comfyui.driver.workflow import Workflow, file_sites, inputs_in, workflow_of
from runtimes.comfyui.graph import TARGETS
from runtimes.live import LiveCatalog

_RECONCILE_S = 2.0
"""How often history and queue are asked although the websocket says nothing."""
_CONNECT_S = 5.0
_STOPPING_S = 5.0
_STOP_PAUSE_S = 0.1
_MODELS_FOLDER = "3d"
"""Nodes that load a mesh accept only files below it."""
_MAX_OBJECT_INFO_BYTES = 16 * 1024 * 1024
"""Of a server with very many custom nodes; a larger one would take the agent ten times as much memory."""
_NO_PATHS = frozenset({".", ".."})


class ComfyUI(QueuedServer[Prompt]):
    """The driver of runtime type comfyui. A job is a prompt there, under the job's id on the server."""

    capacity = Capacity(ahead=True)  # the server's own queue holds the next job, which can be withdrawn by its id
    job_type = Prompt

    def __init__(self, client: ModelServerClient) -> None:
        super().__init__(client)
        self._client_id = uuid.uuid4().hex
        url = (client.base_url / "ws").with_query(clientId=self._client_id)
        self._events = EventStream(socket_url(url), self._jobs)
        self._leftovers = Leftovers(client)

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
        return self._events.heard, await self._queued("queue_running", timeout_s=5)

    async def catalog(self) -> LiveCatalog:
        """What the server has. It takes the server some tenths of a second to say so, and the GPU goes on."""
        object_info = await self._client.get_object("object_info", max_bytes=_MAX_OBJECT_INFO_BYTES)
        return await asyncio.to_thread(catalog_of, object_info)

    def discard(self, prepared: Workflow, *, over: bool) -> None:
        """Remove what a job left on the server; unless it is over, its results stay for its next claim to adopt."""
        self._leftovers.discard(prepared.uploads, prepared.prompt_id if over else None)

    async def aclose(self) -> None:
        """Close connections."""
        await self._leftovers.aclose()
        await self._events.aclose()
        await super().aclose()

    def _can_adopt(self, prepared: Workflow) -> bool:
        return not prepared.sends_pictures_by_websocket  # they went to the client that posted it

    async def _submit(self, job: Prompt) -> None:
        workflow = job.prepared
        request = {
            "prompt": workflow.graph,
            "client_id": self._client_id,
            "prompt_id": job.server_id,
            "extra_data": workflow.extra_data,
            **({} if workflow.targets is None else {TARGETS: workflow.targets}),
        }
        data = await asyncio.to_thread(write_json, request)
        response = await self._client.send("POST", "prompt", data=data, headers={"Content-Type": "application/json"})
        if response.status != HTTPStatus.OK:
            raise refusal(response.status, response.json_or_none(), workflow.graph)
        answer = response.json()
        if not isinstance(answer, dict) or answer.get("prompt_id") != job.server_id:
            raise ServerError("The model server ignores the job's id; ComfyUI 0.3.44 or later is required.")
        if answer.get("node_errors"):
            # Only the valid part of the workflow would run; what was asked for cannot come.
            await self._withdraw(job.server_id)
            raise refusal(response.status, answer, workflow.graph)

    async def _follow(self, job: Prompt) -> None:
        """Return when the history is worth a look: the websocket says so, or has not said so for a while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(job.recorded.wait(), _RECONCILE_S)

    async def _report(self, server_id: str) -> JobReport | None:
        if (entry := await history_of(self._client, server_id)) is None:
            queue = await self._client.get_object("queue")
            if server_id in _prompt_ids(queue.get("queue_running")):
                return JobReport(state="running")
            if server_id in _prompt_ids(queue.get("queue_pending")):
                return JobReport(state="waiting")
            # It may have ended between the two looks.
            if (entry := await history_of(self._client, server_id)) is None:
                return None
        error = ending_error(entry)
        return JobReport(state="failed" if error else "succeeded", error=error, details=entry)

    async def _preview_of(self, job: Prompt) -> bytes | None:
        return job.preview

    async def _result(self, job: Prompt, report: JobReport) -> Result:
        return await asyncio.to_thread(self._collect, job, report.details)

    async def _waiting(self) -> Sequence[str]:
        return await self._queued("queue_pending")

    async def _withdraw(self, server_id: str) -> None:
        # In this order: between the two a waiting prompt may begin.
        await self._client.send("POST", "queue", json={"delete": [server_id]}, timeout_s=10)
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOPPING_S):
                # The server forgets an interrupt that comes just before a prompt begins; an old one stops any prompt.
                while server_id in await self._queued("queue_running", timeout_s=10):
                    await self._client.send("POST", "interrupt", json={"prompt_id": server_id}, timeout_s=10)
                    await asyncio.sleep(_STOP_PAUSE_S)

    async def _queued(self, part: str, **options: Any) -> list[str]:
        return _prompt_ids((await self._client.get_object("queue", **options)).get(part))

    def _collect(self, job: Prompt, entry: dict[str, Any]) -> Result:
        workflow = job.prepared
        seed_of = cache(workflow.seed_of)  # a node may save thousands of files, below thousands of others
        outputs = [
            Output(partial(self._client.read_file, "view", params=file), seed_of(node_id), file["filename"])
            for node_id, file in saved_files(entry, workflow)
        ]
        outputs += [Output(picture, seed_of(node_id)) for node_id, picture in job.pictures]
        if job.lacks_pictures:
            raise NoOutput("The workflow sends more than 512 MiB of pictures by websocket; let it save them instead.")
        if workflow.sends_pictures_by_websocket and not job.pictures and not job.blocked:
            raise ServerError("The websocket closed before the pictures arrived.")
        if not outputs and not has_other_results(entry):
            reasons = f" ({shorten('; '.join(job.blocked))})" if job.blocked else ""
            raise NoOutput(f"The workflow ended and saved nothing{reasons}; let it end in a node that saves.")
        answer = {"outputs": entry.get("outputs"), "status": entry.get("status")}
        return Result(outputs=outputs, parameters=workflow.graph, answer=answer)

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
        match response.json_or_none() if response.status == HTTPStatus.OK else None:
            case {"name": str(stored), **more} if stored:
                return f"{inside}/{stored}" if (inside := more.get("subfolder")) else stored
        raise ServerError(f"The model server answers {response.status} to an upload.")

    async def _declaration(self, class_type: str) -> Any:
        """What a class's inputs are, as the server has it at the moment; of an unknown class /prompt will say so."""
        if class_type in _NO_PATHS:
            return None  # no class has such a name, and a client takes it for another path
        return (await self._client.get_object(f"object_info/{quote(class_type, safe='')}")).get(class_type)


def _prompt_ids(items: Any) -> list[str]:
    """The prompts in one of the queue's lists."""
    listed = items if isinstance(items, list) else []
    return [item[1] for item in listed if isinstance(item, list) and len(item) > 1 and isinstance(item[1], str)]
