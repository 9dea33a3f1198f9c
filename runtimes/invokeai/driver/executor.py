"""Drives InvokeAI: queues a graph, follows its items, fetches what they made."""

import asyncio
import io
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp

from contract.field_errors import FieldError, field_path
from contract.task import Task
from queue_agent.errors import NoOutput, Rejected, ServerError
from queue_agent.media import Media
from queue_agent.ports import Capacity, Inputs, Output, Result
from runtimes._http import ModelServerClient, as_object, write_json
from runtimes._queued import JobReport, QueuedServer
from runtimes._socket import socket_url
from runtimes._wording import in_words, shorten
from runtimes.invokeai.driver.catalog import catalog_of, installed_in
from runtimes.invokeai.driver.events import PATH, QUERY, QUEUE, ItemEvents, Run
from runtimes.invokeai.driver.items import ending_error, has_other_results, made_files, refusal
from runtimes.invokeai.driver.leftovers import ORIGIN, JobRemover, items_of, summaries
from runtimes.invokeai.driver.session import Session, file_sites, session_of
from runtimes.invokeai.models import is_portable, models_in, unknown_model
from runtimes.live import LiveCatalog

_RECONCILE_S = 2.0
"""How often the queue is asked although the socket says nothing."""
_CONNECT_S = 5.0
_MAX_OPENAPI_BYTES = 32 * 1024 * 1024
_QUEUE = f"api/v1/queue/{QUEUE}"
_RECORD_FIELDS = ("key", "hash", "name", "base", "type")


class InvokeAI(QueuedServer[Run]):
    """The driver of runtime type invokeai.

    A job is the items of the server's queue whose destination is the job's id on the server: one, or as many as its
    batch makes.
    """

    job_type = Run

    def __init__(self, client: ModelServerClient) -> None:
        super().__init__(client)
        self._events = ItemEvents(socket_url((client.base_url / PATH).with_query(QUERY)), self._jobs)
        self._remover = JobRemover(client)
        self._devices: int | None = None
        self._last_item: object = None
        self._lost: set[str] = set()
        """Runs that have ended for this agent alone: a server that starts again goes on with what waited in it."""

    @property
    def capacity(self) -> Capacity:
        """One job for each device, and the next one in the server's own queue."""
        return Capacity(devices=self._devices or 1, ahead=True)

    async def wait_until_ready(self) -> None:
        """Return once the server takes jobs; by then it is known on how many devices it runs them."""
        await super().wait_until_ready()
        if self._devices is None:
            with suppress(ServerError):  # it has gone away again
                self._devices = await self._count_devices()

    async def prepare(self, task: Task, inputs: Inputs) -> Session:
        """Read the task, look up its models, and upload what its links point to."""
        session = await asyncio.to_thread(session_of, task)
        await self._resolve_models(session)
        sites = await asyncio.to_thread(lambda: list(file_sites(session.document)))
        fetched = await inputs.fetch([site.input for site in sites]) if sites else {}
        try:
            names = {text: await self._upload(media, session) for text, media in fetched.items()}
        except BaseException:
            self._remover.discard(session, over=True)
            raise
        for site in sites:
            site.replace(names[site.input.text])
        return session

    async def run(self, prepared: Session, job: str, claim: int, signals: Any) -> Result:
        """Run a graph to its end, or adopt its earlier run on this server."""
        await self._events.wait_until_connected(_CONNECT_S)
        try:
            return await super().run(prepared, job, claim, signals)
        except ServerError:
            if prepared.server_id is not None:
                self._lost.add(prepared.server_id)
            raise

    async def clear(self) -> None:
        """Withdraw what an earlier agent left waiting, and remove what nobody has come back for."""
        await super().clear()
        await self._remover.remove_forgotten(await summaries(self._client))

    async def liveness_token(self) -> object:
        """How many events the socket has brought, and the last item that was seen to run.

        What is withdrawn changes neither: a server whose worker hangs cancels items all the same.
        """
        queue = as_object((await self._client.get_object(f"{_QUEUE}/status", timeout_s=5)).get("queue"))
        self._last_item = queue.get("item_id") or self._last_item
        return self._events.heard, self._last_item

    async def catalog(self) -> LiveCatalog:
        """What the server has; its list of node types takes it a second or two, once."""
        models = await self._client.get_object("api/v2/models/")
        openapi = await self._client.get_object("openapi.json", max_bytes=_MAX_OPENAPI_BYTES)
        return await asyncio.to_thread(catalog_of, models, openapi)

    def discard(self, prepared: Session, *, over: bool) -> None:
        """Remove what a job left on the server; unless it is over, its results stay for its next claim to adopt."""
        self._remover.discard(prepared, over=over)

    async def aclose(self) -> None:
        """Close connections."""
        await self._remover.aclose()
        await self._events.aclose()
        await super().aclose()

    async def _count_devices(self) -> int:
        config = as_object((await self._client.get_object("api/v1/app/runtime_config")).get("config"))
        chosen = config.get("generation_devices")
        if isinstance(chosen, list):
            return max(1, len(chosen))
        if config.get("device") not in {None, "auto"}:  # a device that is set is the only one
            return 1
        options = await self._client.get_json("api/v1/app/generation_device_options")
        return max(1, len(options)) if isinstance(options, list) else 1

    async def _submit(self, job: Run) -> None:
        while self._lost:
            if (lost := self._lost.pop()) not in self._jobs:  # unless a later claim has adopted it
                await self._remover.remove(lost)
        session = job.prepared
        batch = {
            # An id may name several batches: it is no protection against a second copy.
            "batch_id": job.server_id,
            "destination": job.server_id,
            "origin": ORIGIN,
            "graph": {"id": job.server_id, **session.graph},
            "runs": 1,
            **({"data": session.document.batch} if session.document.batch else {}),
        }
        data = await asyncio.to_thread(write_json, {"batch": batch, "prepend": False})
        headers = {"Content-Type": "application/json"}
        answer = await self._client.send("POST", f"{_QUEUE}/enqueue_batch", data=data, headers=headers)
        if answer.status != HTTPStatus.OK:
            raise refusal(answer.status, answer.json_or_none())
        told = as_object(answer.json())
        if told.get("enqueued") != session.document.sessions:
            raise ServerError("The model server's queue is full: it has taken a part of the job.")

    async def _follow(self, job: Run) -> None:
        """Return when the queue is worth a look: the socket says so, or has not said so for a while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(job.ended.wait(), _RECONCILE_S)

    async def _wait(self, job: Run) -> JobReport:
        report = await super()._wait(job)
        if report.error is not None:
            # One item's failure is the job's: the others of its batch must not run on.
            await self._withdraw(job.server_id)
        return report

    async def _report(self, server_id: str) -> JobReport | None:
        counts = await self._client.get_object(f"{_QUEUE}/counts_by_destination", params={"destination": server_id})
        if not counts.get("total"):
            return None
        ended_badly = counts.get("failed") or counts.get("canceled")
        if not ended_badly and any(map(counts.get, ("pending", "in_progress", "waiting"))):
            has_begun = any(map(counts.get, ("in_progress", "waiting", "completed")))
            return JobReport(state="running" if has_begun else "waiting")
        items = await items_of(self._client, server_id)
        error = ending_error(items)
        return JobReport(state="failed" if error else "succeeded", error=error, details=items)

    async def _preview_of(self, job: Run) -> bytes | None:
        return job.preview

    async def _result(self, job: Run, report: JobReport) -> Result:
        session, items = job.prepared, report.details
        files = await asyncio.to_thread(lambda: list(made_files(items)))
        outputs = [
            Output(partial(self._client.read_file, f"api/v1/{kind}s/i/{quote(name, safe='')}/full"), seed, name)
            for kind, name, seed in files
        ]
        if not outputs:
            reason = "only intermediate nodes made files" if has_other_results(items) else "no node gave anything"
            raise NoOutput(f"The graph ended without a file to store: {reason}; let its last node not be intermediate.")
        shown = ("item_id", "device", "started_at", "completed_at")
        answer = {"items": [{key: item.get(key) for key in shown} for item in items]}
        return Result(outputs=outputs, parameters=session.graph, answer=answer, model=session.model)

    async def _waiting(self) -> Sequence[str]:
        items = await summaries(self._client)
        begun = {item["destination"] for item in items if item.get("status") != "pending"}
        return [one for one in dict.fromkeys(item["destination"] for item in items) if one not in begun]

    async def _withdraw(self, server_id: str) -> None:
        params = {"destination": server_id}
        answer = await self._client.send("PUT", f"{_QUEUE}/cancel_by_destination", params=params, timeout_s=10)
        if answer.status != HTTPStatus.OK:
            raise ServerError(f"The model server answers {answer.status} to cancel_by_destination.")

    async def _resolve_models(self, session: Session) -> None:
        """Replace each model by the server's own record of it; Rejected names those that it does not have."""
        errors = []
        known: dict[str, dict[str, Any] | None] = {}
        for path, value in session.document.fields():
            for at, model in models_in(value, path):
                identity = repr([model.get(key) for key in _RECORD_FIELDS])
                if identity not in known:
                    known[identity] = await self._record_of(model)
                if record := known[identity]:
                    model.update({key: record[key] for key in _RECORD_FIELDS if key in record})
                else:
                    listed = list(installed_in(await self._client.get_object("api/v2/models/")))
                    errors.append(FieldError(field_path(at), unknown_model(model, listed)))
        if errors:
            raise Rejected(in_words(errors))

    async def _record_of(self, model: dict[str, Any]) -> dict[str, Any] | None:
        """The server's record of a model: by name, base and type, else by its key; None where it has none."""
        paths: list[tuple[str, dict[str, str]]] = []
        if is_portable(model):
            paths.append(("get_by_attrs", {key: model[key] for key in ("name", "base", "type")}))
        if key := model.get("key"):
            paths.append((f"i/{quote(str(key), safe='')}", {}))
        for path, params in paths:
            answer = await self._client.send("GET", f"api/v2/models/{path}", params=params)
            if answer.status == HTTPStatus.OK:
                return as_object(answer.json())
            if answer.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}:
                raise ServerError(f"The model server answers {answer.status} to a model's name.")
        return None

    async def _upload(self, media: Media, session: Session) -> str:
        """Upload a file; the server draws its name."""
        form = aiohttp.FormData()
        form.add_field(
            "file", io.BytesIO(media.data), filename=f"input.{media.extension}", content_type=media.content_type
        )
        params = {f"{media.kind}_category": "user", "is_intermediate": "true"}
        answer = await self._client.send("POST", f"api/v1/{media.kind}s/upload", data=form, params=params)
        told = as_object(answer.json_or_none())
        if answer.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            raise Rejected(f"The model server cannot read an input: {shorten(str(told.get('detail')))}.")
        name = told.get(f"{media.kind}_name")
        if answer.status != HTTPStatus.CREATED or not isinstance(name, str):
            raise ServerError(f"The model server answers {answer.status} to an upload.")
        session.uploads[name] = media.kind
        return name
