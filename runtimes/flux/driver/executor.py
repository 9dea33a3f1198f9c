"""Drives the flux server: posts a job, follows its events, reads its pictures while they are stored."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Self

from contract.task import Task
from queue_agent.errors import ServerError
from queue_agent.ports import Capacity, Inputs, Output, Result, RunSignals
from queue_agent.settings import Settings
from runtimes._http import Answer, ModelServerClient
from runtimes._queued import JobReport, QueuedServer
from runtimes._wording import shorten
from runtimes.flux.driver.answer import FluxHealth, ServedModel, read_health, read_report, refusal, report_of
from runtimes.flux.driver.events import StepWatch, events_in
from runtimes.flux.driver.request import PreparedRequest, draft_of

_JSON = {"Content-Type": "application/json"}
_SILENCE_S = 30.0
"""After so long without an event the server is asked how the job is; it sends one every 15 s at least."""
_UNPACKING_S = 60.0
"""The server accepts a job once its images are unpacked, those of two jobs at a time."""
_MAX_WARNINGS = 20
_A_PICTURE = "picture.png"
"""Outputs have no names; under a picture's name, bytes that are no picture are the server's error."""
_TAKEN = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED})


class Flux(QueuedServer[PreparedRequest, StepWatch]):
    """The driver of runtime type flux.

    The server keeps ended jobs for a while: should their pictures not be stored, the next claim adopts them.

    Args:
        client: The server.
    """

    def __init__(self, client: ModelServerClient) -> None:
        super().__init__(client)
        self._health: FluxHealth | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver."""
        return cls(ModelServerClient(settings.api_base_url, settings.runtime_type.pod.health_path))

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
        draft = await asyncio.to_thread(draft_of, task, self._served)
        fetched = await inputs.fetch([site.input for site in draft.sites]) if draft.sites else {}
        return await asyncio.to_thread(draft.finish, fetched)

    async def liveness_token(self) -> object:
        """How many events each job has had, and the state of the workers."""
        health = read_health(await self._client.send("GET", "health", timeout_s=5))
        return [(job, watch.heard) for job, watch in self._watches.items()], health.workers

    @property
    def _served(self) -> ServedModel:
        return self._health.model if self._health else ServedModel()

    def _note_health(self, answer: Answer) -> None:
        self._health = read_health(answer)

    @contextmanager
    def _watch(
        self,
        prepared: PreparedRequest,  # noqa: ARG002 (the base class's)
        server_job: str,  # noqa: ARG002 (the base class's)
        signals: RunSignals,
    ) -> Iterator[StepWatch]:
        yield StepWatch(signals)

    async def _submit(self, prepared: PreparedRequest, server_job: str) -> None:
        body = prepared.under(server_job)
        answer = await self._client.send("POST", "jobs", data=body, headers=_JSON, timeout_s=_UNPACKING_S)
        if answer.status not in _TAKEN:
            raise refusal(answer)

    async def _follow(self, server_job: str, watch: StepWatch) -> JobReport | None:
        ending = None
        async with self._client.stream("GET", f"jobs/{server_job}/events", timeout_s=_SILENCE_S) as answer:
            async for event in events_in(answer.chunks):
                watch.heed(event)
                if event.kind == "end":
                    ending = report_of(event.data)
        return ending

    async def _report(self, server_job: str) -> JobReport | None:
        return read_report(await self._client.send("GET", f"jobs/{server_job}"))

    async def _waiting(self) -> Sequence[str]:
        jobs = await self._client.get_json("jobs")
        return jobs.get("waiting") or () if isinstance(jobs, dict) else ()

    async def _withdraw(self, server_job: str) -> None:
        await self._client.send("DELETE", f"jobs/{server_job}", timeout_s=10)

    async def _result(
        self,
        prepared: PreparedRequest,  # noqa: ARG002 (the base class's)
        server_job: str,
        report: JobReport,
        watch: StepWatch,  # noqa: ARG002 (the base class's)
    ) -> Result:
        job = report.details
        outputs = [
            Output(partial(self._read, f"jobs/{server_job}/outputs/{picture.number}"), picture.seed, _A_PICTURE)
            for picture in job.pictures
        ]
        if not outputs:
            raise ServerError("The model server reports success and lists no picture.")
        answer: dict[str, Any] = {
            "seeds": [picture.seed for picture in job.pictures],
            "timings_s": job.timings_s,
            "warnings": [shorten(warning) for warning in job.warnings[:_MAX_WARNINGS]],
        }
        return Result(outputs=outputs, parameters=job.parameters, answer=answer, model=self._served.source)

    @asynccontextmanager
    async def _read(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._client.stream("GET", path) as answer:
            if answer.status != HTTPStatus.OK:
                raise ServerError(f"The model server answers {answer.status} when asked for a finished job's picture.")
            yield answer.chunks
