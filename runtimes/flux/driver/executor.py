"""Drives the flux server: posts a job, follows its events, reads its pictures while they are stored."""

import asyncio
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError

from contract.task import Task
from queue_agent.errors import ServerError
from queue_agent.ports import MAX_PREVIEW_BYTES, Capacity, Inputs, Output, Result
from runtimes._http import Answer, ModelServerClient
from runtimes._queued import JobReport, QueuedServer
from runtimes._wording import shorten
from runtimes.flux.driver.answer import FluxHealth, ServedModel, read_health, read_report, refusal, report_of
from runtimes.flux.driver.events import FluxJob, events_in
from runtimes.flux.driver.request import PreparedRequest, request_of
from runtimes.flux.options import ModelCard
from runtimes.live import LiveCatalog, Named

_SILENCE_S = 30.0
"""After so long without an event the server is asked how the job is; it sends one every 15 s at least."""
_UNPACKING_S = 60.0
"""The server accepts a job once its images are unpacked, those of two jobs at a time."""
_MAX_WARNINGS = 20
_A_PICTURE = "picture.png"
"""Outputs have no names; under a picture's name, bytes that are no picture are the server's error."""


class Flux(QueuedServer[FluxJob]):
    """The driver of runtime type flux.

    The server keeps ended jobs for a while: should their pictures not be stored, the next claim adopts them.
    """

    job_type = FluxJob

    def __init__(self, client: ModelServerClient) -> None:
        super().__init__(client)
        self._health: FluxHealth | None = None

    @property
    def capacity(self) -> Capacity:
        """A job or a batch on each GPU; the server's own queue holds the next ones, which can be withdrawn by id."""
        workers = self._health.workers if self._health else ()
        devices = sum(not worker.given_up for worker in workers)
        return Capacity(devices=max(1, devices), batch=self._served.max_batch, ahead=True)

    async def wait_until_ready(self) -> None:
        """Return once the server takes jobs, and note how many."""
        await self._client.wait_until_ready(self._note_health)

    async def prepare(self, task: Task, inputs: Inputs) -> PreparedRequest:
        """Write the task's request and put the images into it."""
        request = await asyncio.to_thread(request_of, task, self._served)
        fetched = await inputs.fetch([site.input for site in request.sites]) if request.sites else {}
        await asyncio.to_thread(request.write, fetched)
        return request

    async def liveness_token(self) -> object:
        """How many events each job has had, and the state of the workers."""
        health = read_health(await self._client.send("GET", "health", timeout_s=5))
        return [(job.job, job.heard) for job in self._jobs.values()], health.workers

    async def catalog(self) -> LiveCatalog | None:
        """The model that the server draws with, and its LoRAs; None from a server of another version."""
        model = read_health(await self._client.send("GET", "health", timeout_s=5)).model
        try:
            card = ModelCard.model_validate(model.card)
        except ValidationError:
            return None
        loras = tuple(Named(name=lora.name) for lora in card.loras)
        return LiveCatalog(models=(Named(name=model.source or card.family),), loras=loras, card=card)

    @property
    def _served(self) -> ServedModel:
        return self._health.model if self._health else ServedModel()

    def _note_health(self, answer: Answer) -> None:
        self._health = read_health(answer)

    async def _submit(self, job: FluxJob) -> None:
        body, headers = job.prepared.under(job.server_id), {"Content-Type": "application/json"}
        answer = await self._client.send("POST", "jobs", data=body, headers=headers, timeout_s=_UNPACKING_S)
        if answer.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
            raise refusal(answer)

    async def _follow(self, job: FluxJob) -> JobReport | None:
        ending = None
        async with self._client.stream("GET", f"jobs/{job.server_id}/events", timeout_s=_SILENCE_S) as answer:
            async for event in events_in(answer.chunks):
                job.heed(event)
                if event.kind == "end":
                    ending = report_of(event.data)
        return ending

    async def _report(self, server_id: str) -> JobReport | None:
        return read_report(await self._client.send("GET", f"jobs/{server_id}"))

    async def _waiting(self) -> Sequence[str]:
        return (await self._client.get_object("jobs")).get("waiting") or ()

    async def _withdraw(self, server_id: str) -> None:
        await self._client.send("DELETE", f"jobs/{server_id}", timeout_s=10)

    async def _preview_of(self, job: FluxJob) -> bytes | None:
        if not job.has_preview:
            return None
        answer = await self._client.send("GET", f"jobs/{job.server_id}/outputs/0", max_bytes=MAX_PREVIEW_BYTES)
        return answer.body if answer.status == HTTPStatus.OK else None

    async def _result(self, job: FluxJob, report: JobReport) -> Result:
        reported = report.details
        read = self._client.read_file
        outputs = [
            Output(partial(read, f"jobs/{job.server_id}/outputs/{picture.number}"), picture.seed, _A_PICTURE)
            for picture in reported.pictures
        ]
        if not outputs:
            raise ServerError("The model server reports success and lists no picture.")
        answer: dict[str, Any] = {
            "seeds": [picture.seed for picture in reported.pictures],
            "timings_s": reported.timings_s,
            "warnings": [shorten(warning) for warning in reported.warnings[:_MAX_WARNINGS]],
        }
        return Result(outputs=outputs, parameters=reported.parameters, answer=answer, model=self._served.source)
