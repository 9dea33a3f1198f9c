"""Drives the FLUX server: posts a job, follows its events, reads its pictures as they are stored."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Self

from contract.task import Task
from queue_agent.errors import ServerError
from queue_agent.ports import Capacity, Executor, Inputs, Output, Result, RunSignals, Supervised
from queue_agent.settings import Settings
from runtimes._http import Answer, ModelServerClient
from runtimes._wording import shorten
from runtimes.flux.driver.answer import Health, Report, Served, read_health, read_report, refusal, report_of
from runtimes.flux.driver.events import events_in
from runtimes.flux.driver.request import PreparedRequest, draft_of
from runtimes.flux.driver.watch import JobWatch

logger = logging.getLogger(__name__)

_JSON = {"Content-Type": "application/json"}
_SILENCE_S = 30.0
"""After so long without a sign the server is asked how the job is; it gives one every 15 s at least."""
_UNPACKING_S = 60.0
"""A server takes a job when its images are unpacked, two jobs' at a time."""
_RECONNECT_S = 0.2
_MAX_WARNINGS = 20
_A_PICTURE = "picture.png"
"""Outputs have no names; under a picture's, bytes that are none are the server's fault."""
_TAKEN = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED})


class Flux(Executor, Supervised):
    """The driver for runtime type ``flux``.

    Args:
        client: The server.
    """

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client
        self._health: Health | None = None
        self._watches: dict[str, JobWatch] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver."""
        return cls(ModelServerClient(settings.api_base_url, settings.runtime_type.pod.health_path))

    async def wait_until_ready(self) -> None:
        """Return once the server takes jobs, and note how many."""
        await self._client.wait_until_ready(self._note_health)

    @property
    def capacity(self) -> Capacity:
        """A job or a batch on each GPU; the server's own queue holds the next ones, which can be withdrawn by id."""
        workers = self._health.workers if self._health else ()
        devices = sum(not worker.given_up for worker in workers)
        return Capacity(devices=max(1, devices), batch=self._served.max_batch, ahead=True)

    async def prepare(self, task: Task, inputs: Inputs) -> PreparedRequest:
        """Write the task's request and put the images into it."""
        draft = await asyncio.to_thread(draft_of, task, self._served)
        fetched = await inputs.fetch([site.input for site in draft.sites]) if draft.sites else {}
        return await asyncio.to_thread(draft.finish, fetched)

    async def clear(self) -> None:
        """Withdraw what a former agent left waiting; what it left running is there to be adopted."""
        jobs = await self._client.get_json("jobs")
        if waiting := jobs.get("waiting") if isinstance(jobs, dict) else None:
            logger.info("jobs of a former agent are withdrawn", extra={"jobs": len(waiting)})
            for server_job in waiting:
                await self._withdraw(server_job)

    async def run(self, prepared: PreparedRequest, job: str, claim: int, signals: RunSignals) -> Result:
        """Run a request to its end, or adopt a former run of the job on this server.

        The server keeps ended jobs for a while: should they not be stored, the next claim adopts the pictures.
        """
        adopted = await self._left_by_former_claims(job, claim)
        server_job = adopted or _server_job(job, claim)
        with self._watching(job, signals) as watch:
            try:
                if adopted is None:
                    await self._submit(prepared, server_job)
                report = await self._wait(server_job, watch)
            except ServerError:
                # It may be an answer alone that was lost: the job must not run on while another agent runs it again.
                with suppress(ServerError):
                    await self._withdraw(server_job)
                raise
        if (fault := report.fault) is not None:
            raise fault
        return self._result(server_job, report)

    async def liveness_token(self) -> object:
        """What has been told of each job, and what its workers are at."""
        health = read_health(await self._client.send("GET", "health", timeout_s=5))
        return [(job, watch.told) for job, watch in self._watches.items()], health.workers

    async def progress(self, job: str) -> float | None:
        """How far a job is."""
        watch = self._watches.get(job)
        return watch.fraction if watch and watch.is_running else None

    async def interrupt(self, job: str, claim: int) -> None:
        """Take a job out of the server, under whichever claim it was posted."""
        for number in range(claim, 0, -1):
            await self._withdraw(_server_job(job, number))

    async def aclose(self) -> None:
        """Give connections back."""
        await self._client.aclose()

    @property
    def _served(self) -> Served:
        return self._health.model if self._health else Served()

    def _note_health(self, answer: Answer) -> None:
        self._health = read_health(answer)

    async def _withdraw(self, server_job: str) -> None:
        await self._client.send("DELETE", f"jobs/{server_job}", timeout_s=10)

    async def _left_by_former_claims(self, job: str, claim: int) -> str | None:
        """The newest run of former claims that this server goes on with, or has ended and would end so again."""
        for number in range(claim - 1, 0, -1):
            server_job = _server_job(job, number)
            answer = await self._client.send("GET", f"jobs/{server_job}")
            if answer.status != HTTPStatus.NOT_FOUND and read_report(answer).would_end_so_again:
                logger.info("the job's former run is adopted")
                return server_job
        return None

    async def _submit(self, prepared: PreparedRequest, server_job: str) -> None:
        body = prepared.under(server_job)
        answer = await self._client.send("POST", "jobs", data=body, headers=_JSON, timeout_s=_UNPACKING_S)
        if answer.status not in _TAKEN:
            raise refusal(answer)

    async def _wait(self, server_job: str, watch: JobWatch) -> Report:
        """Wait for the job's end; where its events break off before it, the server is asked how the job is."""
        while True:
            report = None
            with suppress(ServerError):
                report = await self._follow(server_job, watch)
            if report is None:
                report = read_report(await self._client.send("GET", f"jobs/{server_job}"))
                watch.note_state(report.state, report.batch)
            if report.has_ended:
                return report
            logger.debug("the job's events broke off")
            await asyncio.sleep(_RECONNECT_S)

    async def _follow(self, server_job: str, watch: JobWatch) -> Report | None:
        """Note a job's events until the server hangs up; gives its end, if that was told."""
        ending = None
        path = f"jobs/{server_job}/events"
        async with self._client.stream("GET", path, timeout_s=_SILENCE_S) as answer:
            async for event in events_in(answer.chunks):
                watch.heed(event)
                if event.kind == "end":
                    ending = report_of(event.data)
        return ending

    @contextmanager
    def _watching(self, job: str, signals: RunSignals) -> Iterator[JobWatch]:
        watch = self._watches[job] = JobWatch(signals)
        try:
            yield watch
        finally:
            del self._watches[job]

    def _result(self, server_job: str, report: Report) -> Result:
        outputs = [
            Output(partial(self._read, f"jobs/{server_job}/outputs/{picture.number}"), picture.seed, _A_PICTURE)
            for picture in report.pictures
        ]
        if not outputs:
            raise ServerError("The model server ended the job well and names no picture.")
        answer: dict[str, Any] = {
            "seeds": [picture.seed for picture in report.pictures],
            "timings_s": report.timings_s,
            "warnings": [shorten(warning) for warning in report.warnings[:_MAX_WARNINGS]],
        }
        return Result(outputs=outputs, parameters=report.parameters, answer=answer, model=self._served.source)

    @asynccontextmanager
    async def _read(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._client.stream("GET", path) as answer:
            if answer.status != HTTPStatus.OK:
                raise ServerError(f"The model server answers {answer.status} to a picture of an ended job.")
            yield answer.chunks


def _server_job(job: str, claim: int) -> str:
    return str(uuid.uuid5(uuid.UUID(job), str(claim)))
