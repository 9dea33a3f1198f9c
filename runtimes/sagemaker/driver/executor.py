"""Calls an endpoint of SageMaker: in real time, or asynchronously with the result in S3."""

import asyncio
import logging
import time
from http import HTTPStatus
from typing import Any, Self

from botocore.exceptions import ClientError

from contract.deadlines import Deadlines
from contract.task import Task
from jobs.job import Progress
from queue_agent.errors import (
    DeadlineExceeded,
    InvalidTask,
    RetryableError,
    ServiceAway,
    ServiceRefused,
    StillRunning,
)
from queue_agent.ports import Capacity, Executor, Inputs, Result, RunSignals, Supervised
from queue_agent.settings import Settings, SettingsError
from runtimes._background import BackgroundTasks
from runtimes._managed import ManagedService, ServiceAnswer, read_body
from runtimes.sagemaker.driver.call import AsyncCall, CallFolder
from runtimes.sagemaker.driver.decoder import decode
from runtimes.sagemaker.driver.failures import failure_of, refusal
from runtimes.sagemaker.driver.request import PreparedBody, body_of
from runtimes.sagemaker.forms import FORMS
from runtimes.sagemaker.options import SageMakerEndpoint

logger = logging.getLogger(__name__)

MAX_REALTIME_BYTES = 25 * 1000 * 1000
"""Of a body in real time (docs.aws.amazon.com/sagemaker, "Endpoints and quotas")."""
MAX_INLINE_BYTES = 128_000
"""Of a body in InvokeEndpointAsync itself (botocore's model); a larger one goes through S3."""
_MAX_INVOCATION_S = 3600
_READ_TIMEOUT_S = 70.0
"""SageMaker itself stops a real-time call after 60 s."""
_UNSURE_S = 60.0
"""How long the result of a call is waited for that the endpoint may not have."""
_LATE_S = 60.0
"""SageMaker counts the time; the agent gives a call up only so much later."""
_FIRST_PAUSE_S, _LAST_PAUSE_S, _SLOWER = 0.5, 10.0, 1.25
_MIN_DELAY_S, _MAX_DELAY_S = 5, 300


class SageMaker(Executor, Supervised):
    """The driver of runtime type sagemaker.

    A call cannot be stopped: an interrupted job's call goes on, and its result is deleted.
    """

    def __init__(
        self,
        options: SageMakerEndpoint,
        *,
        runtime: ManagedService,
        calls: CallFolder,
        deadlines: Deadlines,
        patience_s: float | None = None,
    ) -> None:
        self.queue_s = options.queue_seconds if options.mode == "async" else 0
        self._options = options
        self._form = FORMS[options.form]
        self._accept = options.accept or self._form.accept
        self._runtime = runtime
        self._calls = calls
        self._deadlines = deadlines
        self._patience_s = patience_s
        self._waiting: set[str] = set()
        self._removals = BackgroundTasks("sagemaker-leftovers")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the driver of a runtime's endpoint; SettingsError says that none is named."""
        options = settings.options
        if not isinstance(options, SageMakerEndpoint):
            raise SettingsError(f"MODEL_OPTIONS of type {settings.runtime_type.name} name no endpoint.")
        region = options.region or settings.region
        runtime = ManagedService("sagemaker-runtime", region=region, read_timeout_s=_READ_TIMEOUT_S)
        s3 = ManagedService("s3", region=settings.region, read_timeout_s=_READ_TIMEOUT_S)
        return cls(
            options,
            runtime=runtime,
            calls=CallFolder(s3, settings.bucket, settings.runtime_name),
            deadlines=settings.deadlines,
            patience_s=settings.patience_s,
        )

    @property
    def capacity(self) -> Capacity:
        """As many calls as the configuration allows."""
        return Capacity(devices=self._options.concurrency)

    async def wait_until_ready(self) -> None:
        """Return at once: an endpoint without an instance takes asynchronous calls, and says so in real time."""

    async def clear(self) -> None:
        """Do nothing: the next claims adopt the calls that an earlier agent left."""

    async def liveness_token(self) -> object:
        """A new token each time: each call has its own limit."""
        return object()

    async def progress(self, job: str) -> Progress | None:
        """That it waits for the endpoint, which says no more."""
        return Progress(stage="waiting for the endpoint") if job in self._waiting else None

    async def prepare(self, task: Task, inputs: Inputs) -> PreparedBody:
        """Write the body, images included."""
        prepared = await asyncio.to_thread(body_of, task, self._options, self._form, self._deadlines)
        fetched = await inputs.fetch([site.input for site in prepared.sites]) if prepared.sites else {}
        await asyncio.to_thread(prepared.write, fetched)
        if self._options.mode == "realtime" and len(prepared.body) > MAX_REALTIME_BYTES:
            limit_mb = MAX_REALTIME_BYTES // 1_000_000
            raise InvalidTask(f"The request with its images has more than the {limit_mb} MB that the endpoint takes.")
        return prepared

    async def run(self, prepared: PreparedBody, job: str, claim: int, signals: RunSignals) -> Result:
        """Call the endpoint and decode its answer; an asynchronous call of an earlier claim is waited for instead."""
        if self._options.mode == "realtime":
            signals.started()
            answer = await self._invoke(prepared)
        else:
            call = prepared.call = await self._adopted(job, claim) or await self._begin(prepared, job, claim)
            signals.started()
            answer = await self._answer(prepared, call)
        signals.freed()
        decoded = await asyncio.to_thread(decode, answer)
        return Result(outputs=decoded.outputs, parameters=prepared.parameters, answer=decoded.rest)

    async def interrupt(self, job: str, claim: int) -> None:
        """Do nothing: SageMaker has no way to stop a call, or to withdraw one that waits."""

    def discard(self, prepared: PreparedBody, *, over: bool) -> None:
        """Delete a call's objects once its job is over; until then, the next claim looks for them."""
        if over and prepared.call is not None:
            self._removals.start(self._calls.remove(prepared.call))

    async def aclose(self) -> None:
        """Wait a short while for deletions, and close the clients; the bucket's lifecycle deletes the rest."""
        await self._removals.aclose()
        await self._calls.aclose()
        await self._runtime.aclose()

    async def _invoke(self, prepared: PreparedBody) -> bytes:
        try:
            answer = await self._runtime.call("invoke_endpoint", Body=prepared.body, **self._arguments(prepared))
        except ClientError as exc:
            raise refusal(exc) from exc
        return await read_body(answer["Body"], "SageMaker")

    async def _adopted(self, job: str, claim: int) -> AsyncCall | None:
        """The call of an earlier claim, if the endpoint has it."""
        call = await self._calls.find(job) if claim > 1 else None
        if call is None or call.failure is not None:
            return call
        while await self._calls.result(call) is None:
            if time.time() > call.called_s + _UNSURE_S:
                return None
            await asyncio.sleep(_FIRST_PAUSE_S)
        return call

    async def _begin(self, prepared: PreparedBody, job: str, claim: int) -> AsyncCall:
        call = self._calls.new_call(job, claim, time.time())
        await self._calls.note(call)
        body: dict[str, Any] = {"Body": prepared.body}
        if len(prepared.body) > MAX_INLINE_BYTES:
            body = {"InputLocation": await self._calls.put_input(call, prepared.body, prepared.content_type)}
        try:
            answer = await self._runtime.call(
                "invoke_endpoint_async",
                **body,
                **self._arguments(prepared),
                InferenceId=f"{job}-{claim}",  # failures may be named after it
                S3OutputPathExtension=self._calls.extension(job),
                Filename=self._calls.filename(claim),
                RequestTTLSeconds=self._options.queue_seconds,
                InvocationTimeoutSeconds=self._invocation_s(prepared),
            )
            call = self._calls.accepted(call, answer)
        except (ServiceAway, ServiceRefused):
            await self._calls.note(call.voided())
            raise
        except ClientError as exc:
            if ServiceAnswer.of(exc).status < HTTPStatus.INTERNAL_SERVER_ERROR:
                await self._calls.note(call.voided())
            raise refusal(exc) from exc
        await self._calls.note(call)
        return call

    async def _answer(self, prepared: PreparedBody, call: AsyncCall) -> bytes:
        """Look for the result, less and less often."""
        ends_s = call.called_s + self._options.queue_seconds + self._invocation_s(prepared) + _LATE_S
        patient_until_s = time.monotonic() + (self._patience_s or float("inf"))
        pause_s = _FIRST_PAUSE_S
        self._waiting.add(call.job)
        try:
            while True:
                if (answer := await self._look(call)) is not None:
                    return answer
                waited_s = time.time() - call.called_s
                if call.called_s + waited_s > ends_s:
                    raise DeadlineExceeded(f"The endpoint had no result after {waited_s:.0f} s.")
                if time.monotonic() >= patient_until_s:
                    raise StillRunning(round(min(max(waited_s / 4, _MIN_DELAY_S), _MAX_DELAY_S)))
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * _SLOWER, _LAST_PAUSE_S)
        finally:
            self._waiting.discard(call.job)

    async def _look(self, call: AsyncCall) -> bytes | None:
        """The result; None while there is none.

        Raises:
            AgentError: The call failed.
        """
        try:
            if (answer := await self._calls.result(call)) is not None:
                return answer
            failure = await self._calls.failure(call)
        except RetryableError as exc:
            logger.warning("the result is looked for again: %s", exc)
            return None
        if failure is None:
            return None
        error = failure_of(failure)
        if isinstance(error, RetryableError):
            await self._calls.note(call.voided())
        raise error

    def _arguments(self, prepared: PreparedBody) -> dict[str, Any]:
        content_type = prepared.content_type
        return {"EndpointName": self._options.endpoint, "ContentType": content_type, "Accept": self._accept}

    def _invocation_s(self, prepared: PreparedBody) -> int:
        return round(min(max(prepared.deadlines.execution_s, 1), _MAX_INVOCATION_S))
