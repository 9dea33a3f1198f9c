"""Loads the driver of the agent's runtime type."""

from typing import cast

from jobs.job import Progress
from queue_agent.ports import Capacity, Executor, Supervised
from queue_agent.settings import Settings
from runtimes.options import ManagedOptions
from runtimes.spec import load


class Unsupervised(Supervised):
    """Where no server runs beside the agent: always ready and alive, and silent about progress."""

    capacity = Capacity()

    def __init__(self, concurrency: int) -> None:
        self.capacity = Capacity(devices=concurrency)

    async def wait_until_ready(self) -> None:
        """Return at once."""

    async def clear(self) -> None:
        """Do nothing: no server outlives the agent."""

    async def liveness_token(self) -> object:
        """A new token each time: nothing hangs here but calls, and each has its time-out."""
        return object()

    async def progress(self, job: str) -> Progress | None:  # noqa: ARG002 (the port's)
        """Unknown."""
        return None


def load_executor(settings: Settings) -> Executor:
    """Make the driver that the runtime's type names."""
    return cast("Executor", load(settings.runtime_type.driver).from_settings(settings))


def supervised(executor: Executor, settings: Settings) -> Supervised:
    """The server beside the agent: the driver itself, or what stands for it where a managed service runs the jobs."""
    if isinstance(executor, Supervised):
        return executor
    options = settings.options if settings.runtime_type.has_model_options else None
    return Unsupervised(options.concurrency if isinstance(options, ManagedOptions) else 1)
