"""Drives the toy server: one HTTP call per job."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from contract.task import Task
from jobs.job import Progress
from queue_agent.errors import Rejected, ServerError
from queue_agent.ports import Capacity, Executor, Inputs, Output, Result, RunSignals, Supervised, Work
from queue_agent.settings import Settings
from runtimes._http import ModelServerClient, read_json


@dataclass(frozen=True, slots=True)
class Drawing:
    """A prepared task."""

    content: dict[str, Any]
    work: Work


class Toy(Executor, Supervised):
    """The driver of runtime type toy."""

    capacity = Capacity()

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(ModelServerClient(settings.api_base_url, settings.runtime_type.pod.health_path))

    async def wait_until_ready(self) -> None:
        await self._client.wait_until_ready()

    async def clear(self) -> None:
        """Do nothing, because no job outlives its call."""

    async def prepare(self, task: Task, inputs: Inputs) -> Drawing:
        return Drawing(task.content or {}, Work("drawing", 1))

    async def run(self, prepared: Drawing, job: str, claim: int, signals: RunSignals) -> Result:
        signals.started()
        answer = await self._client.send("POST", "draw", json=prepared.content)
        signals.freed()
        if answer.status == HTTPStatus.BAD_REQUEST:
            raise Rejected(read_json(answer.body)["error"])
        if answer.status != HTTPStatus.OK:
            raise ServerError(f"The model server answers {answer.status} to a drawing.")
        return Result(outputs=[Output(answer.body)], parameters=prepared.content)

    async def interrupt(self, job: str, claim: int) -> None:
        """Do nothing, because cancelling the call ends the job."""

    async def liveness_token(self) -> object:
        return await self._client.get_json("health")

    async def progress(self, job: str) -> Progress | None:
        return None

    async def aclose(self) -> None:
        await self._client.aclose()
