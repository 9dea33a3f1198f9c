"""Drives Amazon Bedrock: one call of InvokeModel a job.

Bedrock knows no idempotency: a call that was made and whose picture was not stored, because the agent vanished, is made
and paid for again.
"""

import asyncio
from typing import Self

from botocore.exceptions import ClientError

from contract.task import Task
from queue_agent.ports import Executor, Inputs, Result, RunSignals
from queue_agent.settings import Settings, SettingsError
from runtimes._managed import ManagedService, read_body
from runtimes.bedrock.driver.answer import refusal, result_of
from runtimes.bedrock.driver.request import PreparedCall, call_of
from runtimes.bedrock.options import BedrockModel

_READ_TIMEOUT_S = 240
"""Creative upscaling takes minutes; below the default deadline for execution, so that a lost answer is retried."""
_JSON = "application/json"


class Bedrock(Executor):
    """The driver of runtime type bedrock."""

    def __init__(self, service: ManagedService, model: BedrockModel) -> None:
        self._service = service
        self._model = model

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver; SettingsError says that the model is not in the region."""
        model = settings.options
        if not isinstance(model, BedrockModel):
            raise SettingsError(f"MODEL_OPTIONS of type {settings.runtime_type.name} name no model.")
        try:
            region = model.region_in(settings.region)
        except ValueError as exc:
            raise SettingsError(f"MODEL_OPTIONS: {exc}") from exc
        return cls(ManagedService("bedrock-runtime", region=region, read_timeout_s=_READ_TIMEOUT_S), model)

    async def prepare(self, task: Task, inputs: Inputs) -> PreparedCall:
        """Write the call's body and put the pictures into it."""
        call = await asyncio.to_thread(call_of, task, self._model.family)
        fetched = await inputs.fetch([site.input for site in call.sites]) if call.sites else {}
        await asyncio.to_thread(call.write, fetched)
        return call

    async def run(self, prepared: PreparedCall, job: str, claim: int, signals: RunSignals) -> Result:  # noqa: ARG002
        """Make the call; cancelling it ends the job here, and Bedrock may have drawn and charged the picture."""
        signals.started()
        try:
            answer = await self._service.call(
                "invoke_model",
                modelId=self._model.id,
                body=prepared.content,
                contentType=_JSON,
                accept=_JSON,
            )
        except ClientError as exc:
            raise refusal(exc, self._model.id) from exc
        content = await read_body(answer["body"], "Bedrock")
        signals.freed()
        call_id = answer["ResponseMetadata"].get("RequestId")
        return await asyncio.to_thread(result_of, content, prepared, self._model.id, call_id)

    async def interrupt(self, job: str, claim: int) -> None:
        """Do nothing: a call that nobody waits for is closed."""

    async def aclose(self) -> None:
        """Close connections."""
        await self._service.aclose()
