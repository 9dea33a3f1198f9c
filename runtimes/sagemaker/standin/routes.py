"""The two operations of sagemaker-runtime that the platform calls, with their errors, cold starts and throttling.

The environment says the rest: OUTPUT_BUCKET is where asynchronous endpoints write, below ``_sagemaker/``; without it
there are none. STANDIN_ENDPOINTS lists the endpoints that exist, by default all. STANDIN_INVOCATIONS_URL is the
``/invocations`` of a real server that answers in place of painted pictures.
"""

import asyncio
import json
import os
import re
import time
import uuid
from typing import Any

import boto3
from aiohttp import web
from botocore.config import Config

from runtimes.sagemaker.options import FOLDER
from runtimes.sagemaker.standin.container import ContainerAnswer, ModelContainer
from runtimes.standin.control import Control

FINISHES_JOBS = False
_ACCOUNT = "123456789012"
_MAX_INLINE_BYTES = 128_000
_MAX_BODY_BYTES = 25_000_000
_REALTIME_S = 60
_INSTANCES = 2
_DEFAULT_TTL_S, _DEFAULT_INVOCATION_S = 21_600, 900
_HEADER = "X-Amzn-SageMaker-"
_EXTENSION = re.compile(r"(?!s3:|https:)[a-zA-Z0-9!_.*'()/-]{1,512}")
_FILENAME = re.compile(r"(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9_.-]{0,31}")


class EndpointError(Exception):
    """An error as SageMaker answers it: status, code, and further fields."""

    def __init__(self, status: int, code: str, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.fields = fields


class Endpoints:
    """The endpoints: how many instances are awake, and what waits for them."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._container = ModelContainer(control, os.environ.get("STANDIN_INVOCATIONS_URL"))
        self._names = [name for name in os.environ.get("STANDIN_ENDPOINTS", "").split(",") if name]
        bucket = os.environ.get("OUTPUT_BUCKET")
        self._output = bucket and f"s3://{bucket}/{FOLDER}".rstrip("/")
        self._instances = asyncio.Semaphore(_INSTANCES)
        self._cold_s = 0.0
        self._awake_at: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def invoke(self, request: web.Request) -> web.Response:
        """InvokeEndpoint."""
        name = self._checked_name(request)
        body = await request.read()
        if len(body) > _MAX_BODY_BYTES:
            raise EndpointError(413, "ValidationError", f"Request size {len(body)} exceeds {_MAX_BODY_BYTES} bytes.")
        if not self._is_awake(wakes=False):
            raise EndpointError(
                400,
                "ValidationError",
                "Inference Component has no capacity to process this request. ApplicationAutoScaling may be "
                "in-progress (if configured) or try to increase the capacity by invoking "
                "UpdateInferenceComponentRuntimeConfig API.",
            )
        job = self._control.open_job(request.headers.get(f"{_HEADER}Inference-Id") or str(uuid.uuid4()), name)
        content_type, accept = request.headers.get("Content-Type", ""), request.headers.get("Accept", "")
        try:
            async with asyncio.timeout(_REALTIME_S), self._instances:
                answer = await self._container.invoke(job, body, content_type, accept)
        except TimeoutError:
            answer = ContainerAnswer(
                status=0, content_type="", body=b"Your invocation timed out while waiting for a response"
            )
        if answer.status == 200:  # noqa: PLR2004 (HTTP's own number)
            headers = {"x-Amzn-Invoked-Production-Variant": "AllTraffic", "Content-Type": answer.content_type}
            return web.Response(body=answer.body, headers=headers)
        raise EndpointError(
            424,
            "ModelError",
            _received(answer),
            OriginalStatusCode=answer.status,
            OriginalMessage=answer.body.decode("utf-8", "replace"),
            LogStreamArn=f"arn:aws:logs:us-east-1:{_ACCOUNT}:log-group:/aws/sagemaker/Endpoints/{name}",
        )

    async def invoke_async(self, request: web.Request) -> web.Response:
        """InvokeEndpointAsync."""
        name = self._checked_name(request)
        if not self._output:
            raise EndpointError(400, "ValidationError", f"Endpoint {name} is not an async endpoint.")
        given = {key: request.headers.get(f"{_HEADER}{key}") for key in ("InputLocation", "Filename", "Inference-Id")}
        extension = request.headers.get(f"{_HEADER}S3OutputPathExtension")
        inference = given["Inference-Id"] or str(uuid.uuid4())
        filename = given["Filename"] or f"{inference}.out"
        if extension is not None and not _EXTENSION.fullmatch(extension):
            raise _invalid("s3OutputPathExtension", extension)
        if given["Filename"] is not None and not _FILENAME.fullmatch(filename):
            raise _invalid("filename", filename)
        ttl_s = _number(request, "RequestTTLSeconds", 60, 21_600, _DEFAULT_TTL_S)
        invocation_s = _number(request, "InvocationTimeoutSeconds", 1, 3600, _DEFAULT_INVOCATION_S)
        body = await request.read()
        if bool(body) == bool(given["InputLocation"]):
            raise EndpointError(400, "ValidationError", "Provide exactly one of Body and InputLocation.")
        if len(body) > _MAX_INLINE_BYTES:
            raise _invalid("body", f"{len(body)} bytes")
        output = "/".join(filter(None, (self._output, extension, filename)))
        failure = f"{self._output}/failures/{inference}-error.out"
        running = self._run(
            name,
            inference,
            body or str(given["InputLocation"]),
            content_type=request.headers.get(f"{_HEADER}Content-Type", ""),
            accept=request.headers.get(f"{_HEADER}Accept", ""),
            places=(output, failure),
            limits=(ttl_s, invocation_s),
        )
        task = asyncio.create_task(running, name=f"async {inference}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        headers = {f"{_HEADER}OutputLocation": output, f"{_HEADER}FailureLocation": failure}
        return web.json_response({"InferenceId": inference}, status=202, headers=headers)

    async def _run(
        self,
        name: str,
        inference: str,
        given: bytes | str,
        *,
        content_type: str,
        accept: str,
        places: tuple[str, str],
        limits: tuple[int, int],
    ) -> None:
        """Wait for an instance, run the request, and write its end to S3."""
        ttl_s, invocation_s = limits
        try:
            async with asyncio.timeout(ttl_s):
                while not self._is_awake(wakes=True):  # noqa: ASYNC110 (there is no event)
                    await asyncio.sleep(0.05)
                await self._instances.acquire()
        except TimeoutError:
            await _write(places[1], b"Request expired: it was not processed within RequestTTLSeconds.")
            return
        job = self._control.open_job(inference, name)
        try:
            body = given if isinstance(given, bytes) else await _read(given)
            async with asyncio.timeout(invocation_s):
                answer = await self._container.invoke(job, body, content_type, accept)
        except TimeoutError:
            await _write(places[1], b"Invocation timed out.")
        else:
            ok = answer.status == 200  # noqa: PLR2004 (HTTP's own number)
            await _write(places[0] if ok else places[1], answer.body if ok else _received(answer).encode())
        finally:
            self._instances.release()

    def _checked_name(self, request: web.Request) -> str:
        """The endpoint's name, unless it does not exist or takes no more calls."""
        name = request.match_info["name"]
        if self._names and name not in self._names:
            raise EndpointError(400, "ValidationError", f"Endpoint {name} of account {_ACCOUNT} not found.")
        if self._control.take("throttle_jobs"):
            raise EndpointError(400, "ThrottlingException", "Rate exceeded")
        return name

    def _is_awake(self, *, wakes: bool) -> bool:
        """Whether an instance runs; a request that waits for one wakes it."""
        if self._control.faults.cold_s != self._cold_s:
            self._cold_s, self._awake_at = self._control.faults.cold_s, None
        if self._awake_at is None and (wakes or not self._cold_s):
            self._awake_at = time.monotonic() + self._cold_s
        return self._awake_at is not None and time.monotonic() >= self._awake_at


def build(control: Control) -> web.Application:
    """Return the application that answers like sagemaker-runtime."""
    app = web.Application(middlewares=[_speak_as_sagemaker], client_max_size=2 * _MAX_BODY_BYTES)
    endpoints = Endpoints(control)
    app.router.add_post("/endpoints/{name}/invocations", endpoints.invoke)
    app.router.add_post("/endpoints/{name}/async-invocations", endpoints.invoke_async)
    return app


@web.middleware
async def _speak_as_sagemaker(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        return await handler(request)  # type: ignore[no-any-return]
    except EndpointError as exc:
        headers = {"x-amzn-ErrorType": exc.code}
        body = json.dumps({"Message": str(exc), **exc.fields})
        return web.Response(text=body, status=exc.status, content_type="application/json", headers=headers)


def _received(answer: ContainerAnswer) -> str:
    side = "client" if 400 <= answer.status < 500 else "server"  # noqa: PLR2004 (HTTP's own numbers)
    words = answer.body.decode("utf-8", "replace")
    return f'Received {side} error ({answer.status}) from primary with message "{words}".'


def _invalid(field: str, value: str) -> EndpointError:
    words = f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint"
    return EndpointError(400, "ValidationError", words)


def _number(request: web.Request, name: str, least: int, most: int, default: int) -> int:
    text = request.headers.get(f"{_HEADER}{name}")
    if text is None:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise _invalid(name, text)
    return int(text)


def _s3() -> Any:
    return boto3.client("s3", config=Config(s3={"addressing_style": "path"}))


def _split(location: str) -> dict[str, str]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


async def _write(location: str, body: bytes) -> None:
    await asyncio.to_thread(lambda: _s3().put_object(**_split(location), Body=body))


async def _read(location: str) -> bytes:
    data: bytes = await asyncio.to_thread(lambda: _s3().get_object(**_split(location))["Body"].read())  # noqa: PLW0108
    return data
