"""Runtime type toy-managed: an external service, without port, image or GPU. It throttles the first call."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from contract.task import Task
from queue_agent.errors import Throttled
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
    """The driver of runtime type toy-managed."""

    def __init__(self) -> None:
        self._calls = 0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls()

    async def prepare(self, task: Task, inputs: Inputs) -> ManagedDrawing:
        return ManagedDrawing(task.content or {}, Work("drawing", 1))

    async def run(self, prepared: ManagedDrawing, job: str, claim: int, signals: RunSignals) -> Result:
        signals.started()
        self._calls += 1
        if self._calls == 1:
            raise Throttled
        signals.freed()
        return Result(outputs=[Output(PNG)], parameters=prepared.content)

    async def interrupt(self, job: str, claim: int) -> None:
        """Do nothing, because cancelling the call ends the job."""
