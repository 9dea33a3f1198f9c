"""Every part's command line and environment. What crosses into a process stands here and nowhere else."""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from configuration.config import ModelsRuntime
from deploy.verify.samples import SAMPLE_CHECKPOINT
from local.aws import JOBS_TABLE, NOTICE_TOPIC_ARN, OUTPUT_BUCKET, TASK_TOPIC_ARN, dead_queue_name, queue_url
from local.layout import Layout
from local.ports import LOOPBACK
from local.processes import GivenUpError, Part, Probe
from runtimes.registry import RUNTIME_TYPES

AGENT_DRAIN_S = 5.0
"""How long an agent may continue its job after SIGTERM."""
_PROBE_TIMEOUT_S = 2.0
_LOADING_S = 1800.0


def aws_part(layout: Layout) -> Part:
    """AWS."""
    buckets = [f"--input-bucket={name}" for name in layout.config.input_buckets]
    return Part(
        name="aws",
        command=_python(
            "local.aws_server", f"--port={layout.aws_port}", f"--runtimes={layout.runtimes_file}", *buckets
        ),
        environment=layout.environment,
        probe=_listens(LOOPBACK, layout.aws_port),
        holds="all tasks and pictures",
    )


def door_part(layout: Layout) -> Part:
    """API Gateway and the door behind it."""
    throttle = layout.config.apigw.throttle
    return Part(
        name="door",
        command=_python(
            "local.door",
            f"--host={layout.host}",
            f"--port={layout.gateway_port}",
            f"--stage={layout.config.apigw.stage_name}",
            f"--rate-limit={throttle.rate_limit}",
            f"--burst-limit={throttle.burst_limit}",
        ),
        environment={
            **layout.environment,
            "API_KEY": layout.api_key,
            "TASK_TOPIC_ARN": TASK_TOPIC_ARN,
            "OUTPUT_BUCKET": OUTPUT_BUCKET,
            "JOBS_TABLE": JOBS_TABLE,
            "RUNTIMES_FILE": str(layout.runtimes_file),
        },
        probe=_listens(layout.reachable_host, layout.gateway_port),
    )


def server_part(layout: Layout, runtime: ModelsRuntime, http: aiohttp.ClientSession) -> Part:
    """A runtime's model server: the stand-in, or the flux server itself where it can run."""
    port = urlsplit(layout.server_urls[runtime.name]).port
    part = Part(
        name=f"{runtime.name}-server",
        command=_python(
            *("runtimes.standin", f"--type={runtime.type}", f"--host={LOOPBACK}", f"--port={port}"),
            *(f"--model={name}" for name in _models(runtime)),
        ),
        environment=layout.environment,
        probe=_takes_tasks(layout, runtime, http),
    )
    if runtime.model is None:
        return part
    options = runtime.model.model_dump_json(by_alias=True, exclude_none=True)
    environment = {**layout.environment, "MODEL_OPTIONS": options}
    if layout.flux is None:
        return replace(part, environment=environment)
    place = {"MODELS_FOLDER": str(layout.flux.models), "HOST": LOOPBACK, "PORT": str(port)}
    command = (str(layout.flux.python), "-m", "runtimes.flux.server")
    return replace(part, command=command, environment=environment | place, ready_s=_LOADING_S)


def agent_part(layout: Layout, runtime: ModelsRuntime) -> Part:
    """A runtime's queue agent."""
    deadlines = runtime.deployed(layout.config.deadlines).deadlines
    return Part(
        name=f"{runtime.name}-agent",
        command=_python("queue_agent"),
        environment={
            "LOGLEVEL": "INFO",
            **layout.environment,
            "SQS_QUEUE_URL": queue_url(layout.aws_endpoint, runtime.name),
            "SQS_DEAD_QUEUE_URL": queue_url(layout.aws_endpoint, dead_queue_name(runtime.name)),
            "SNS_TOPIC_ARN": NOTICE_TOPIC_ARN,
            "S3_BUCKET": OUTPUT_BUCKET,
            "INPUT_BUCKETS": ",".join(layout.config.input_buckets),
            "RUNTIME_TYPE": runtime.type,
            "RUNTIME_NAME": runtime.name,
            "API_BASE_URL": layout.server_urls[runtime.name],
            "DYNAMIC_SD_MODEL": "true" if runtime.dynamic_model else "false",
            "ALLOW_LOOPBACK_INPUTS": "true",
            "SHUTDOWN_GRACE_S": f"{AGENT_DRAIN_S:g}",
            "START_TIMEOUT_S": f"{deadlines.start_s:g}",
            "EXECUTION_TIMEOUT_S": f"{deadlines.execution_s:g}",
            "STALL_TIMEOUT_S": f"{deadlines.stall_s:g}",
            "MAX_START_TIMEOUT_S": f"{deadlines.max_start_s:g}",
            "MAX_EXECUTION_TIMEOUT_S": f"{deadlines.max_execution_s:g}",
            "MAX_PIXELS": str(runtime.max_pixels),
            "JOBS_TABLE": JOBS_TABLE,
        },
    )


def keeper_part(layout: Layout) -> Part:
    """The keeper."""
    return Part(
        name="keeper",
        command=_python("local.keeper", f"--runtimes={layout.runtimes_file}"),
        environment={
            **layout.environment,
            "JOBS_TABLE": JOBS_TABLE,
            "NOTICE_TOPIC_ARN": NOTICE_TOPIC_ARN,
            "TASK_TOPIC_ARN": TASK_TOPIC_ARN,
            "OUTPUT_BUCKET": OUTPUT_BUCKET,
            "START_TIMEOUT_S": f"{layout.config.deadlines.start_seconds:g}",
        },
    )


def notices_part(layout: Layout) -> Part:
    """Shows every notice as a line."""
    return Part(name="notices", command=_python("local.notices"), environment=layout.environment)


def _takes_tasks(layout: Layout, runtime: ModelsRuntime, http: aiohttp.ClientSession) -> Probe:
    """Tell whether a model server that was started here takes tasks; GivenUpError says that it never will."""

    async def probe() -> bool:
        try:
            async with _health(layout, runtime, http) as response:
                if response.status == HTTPStatus.SERVICE_UNAVAILABLE and (await response.json()).get("live") is False:
                    raise GivenUpError
                return response.status == HTTPStatus.OK
        except (aiohttp.ClientError, TimeoutError):
            return False

    return probe


async def server_doubt(layout: Layout, runtime: ModelsRuntime, http: aiohttp.ClientSession) -> str | None:
    """Why a user's model server takes no tasks now; None when it does."""
    pod = RUNTIME_TYPES[runtime.type].pod
    try:
        async with _health(layout, runtime, http) as response:
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        return "does not answer yet; its agent waits for it"
    if status == HTTPStatus.OK:
        return None
    hint = pod.not_found_hint if status == HTTPStatus.NOT_FOUND else "its agent waits until that is 200"
    return f"answers {status} to {pod.health_path}; {hint}"


def _health(
    layout: Layout, runtime: ModelsRuntime, http: aiohttp.ClientSession
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    base = urlsplit(layout.server_urls[runtime.name])
    url = base._replace(path=RUNTIME_TYPES[runtime.type].pod.health_path, query="").geturl()
    return http.get(url, timeout=aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S), allow_redirects=False)


def stand_in_url(runtime: ModelsRuntime, port: int) -> str:
    """Base URL of a stand-in, in the form of its type's default URL."""
    return urlsplit(RUNTIME_TYPES[runtime.type].pod.default_url)._replace(netloc=f"127.0.0.1:{port}").geturl()


def _models(runtime: ModelsRuntime) -> list[str]:
    """The checkpoints that a stand-in has: the runtime's own, and the samples' where it loads others on request."""
    if runtime.static_model is not None:
        return [runtime.static_model]
    names = [runtime.model_filename, SAMPLE_CHECKPOINT]
    return list(dict.fromkeys(name for name in names if name is not None))


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _listens(host: str, port: int) -> Probe:
    """Tell whether somebody listens: enough for what opens its port only when it is ready."""

    async def probe() -> bool:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            return False
        writer.close()
        return True

    return probe
