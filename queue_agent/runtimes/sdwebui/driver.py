"""Drives SD WebUI: one HTTP call a job."""

from typing import Self

from contract.task import Task
from queue_agent.ports import Inputs, Result
from queue_agent.runtimes.client import ModelServerClient
from queue_agent.runtimes.sdwebui.answer import result_of
from queue_agent.runtimes.sdwebui.call import Call, call_of
from queue_agent.runtimes.sdwebui.options import Options
from queue_agent.runtimes.sdwebui.upscalers import Upscalers
from queue_agent.settings import Settings

API_PATH = "/sdapi/v1/"


class SdWebUI:
    """The driver for runtime type ``sdwebui``.

    Args:
        client: The server; a base URL without path means its usual one.
        dynamic_model: Whether tasks may switch the checkpoint.
    """

    def __init__(self, client: ModelServerClient, *, dynamic_model: bool) -> None:
        self._client = client
        self._options = Options(client)
        self._upscalers = Upscalers(client)
        self._dynamic_model = dynamic_model

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver."""
        base_url = settings.api_base_url.rstrip("/")
        if "/" not in base_url.rpartition("://")[2]:
            base_url += API_PATH
        client = ModelServerClient(base_url, settings.runtime_type.health_path)
        return cls(client, dynamic_model=settings.dynamic_model)

    async def wait_until_ready(self) -> None:
        """Return once the server takes jobs."""
        await self._client.wait_until_ready()

    async def prepare(self, task: Task, inputs: Inputs) -> Call:
        """Write the task's call and put the images into it."""
        call = call_of(task)
        await self._upscalers.correct(call.body)
        if call.link_sites:
            call.put_images(await inputs.fetch([site.link for site in call.link_sites]))
        return call

    async def run(self, prepared: Call, job: str, attempt: int) -> Result:  # noqa: ARG002 (the server counts no attempts)
        """Run a call."""
        call = prepared
        if call.generates:
            if call.checkpoint and self._dynamic_model:
                await self._options.load_checkpoint(call.checkpoint)
            elif call.checkpoint:
                await self._options.require_checkpoint(call.checkpoint)
            await self._options.make_restorable(call.body["override_settings"])
            call.body["force_task_id"] = job
        return result_of(await self._client.send("POST", call.path, json=call.body))

    async def interrupt(self, job: str, attempt: int) -> None:  # noqa: ARG002 (the server interrupts whatever runs)
        """Stop the running job."""
        await self._client.send("POST", "interrupt", timeout=10)

    async def aclose(self) -> None:
        """Give connections back."""
        await self._client.aclose()
