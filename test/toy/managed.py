"""Runtime type toy-managed: an external service, without port, image or GPU."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from contract.task import Task
from queue_agent.errors import Rejected, Throttled
from queue_agent.ports import Executor, Inputs, Output, Result, RunSignals, Work
from queue_agent.settings import Settings
from runtimes.options import ManagedOptions, Place
from runtimes.spec import Managed, RuntimeSpec
from test.toy.standin import PNG


class ToyOptions(ManagedOptions):
    """How many drawings it makes at once."""

    concurrency: int = 2

    def resources(self, place: Place) -> list[str]:
        return ["*"]


SPEC = RuntimeSpec(
    name="toy-managed",
    folder=Path(__file__).parent,
    hosting=Managed(service="toy", actions=("toy:Draw",)),
    task_types=("draw",),
    driver="test.toy.managed:ManagedToy",
    options="test.toy.managed:ToyOptions",
    model_example="{concurrency: 2}",
)


@dataclass(frozen=True, slots=True)
class ManagedDrawing:
    """A prepared task."""

    content: dict[str, Any]
    work: Work


class ManagedToy(Executor):
    """The driver of runtime type toy-managed.

    The service throttles a task that is ``early`` once, takes as many ``seconds`` as it says, and no empty word.
    """

    def __init__(self) -> None:
        self._throttled: set[str] = set()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls()

    async def prepare(self, task: Task, inputs: Inputs) -> ManagedDrawing:
        return ManagedDrawing(task.content or {}, Work("drawing", 1))

    async def run(self, prepared: ManagedDrawing, job: str, claim: int, signals: RunSignals) -> Result:
        signals.started()
        if prepared.content.get("early") and job not in self._throttled:
            self._throttled.add(job)
            raise Throttled
        if not prepared.content["word"]:
            raise Rejected("The word is empty.")
        await asyncio.sleep(prepared.content.get("seconds", 0))
        signals.freed()
        return Result(outputs=[Output(PNG)], parameters=prepared.content)

    async def interrupt(self, job: str, claim: int) -> None:
        """Do nothing, because cancelling the call ends the job."""
