"""Every part's command line and environment, all in one place."""

import asyncio
import json
import re
import sys
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from configuration.config import ModelsRuntime
from configuration.lifetimes import lifetimes
from contract.queues import Priority
from deploy.verify.samples import SAMPLE_CHECKPOINT
from jobs.schema import RETENTION_S
from local.aws import (
    COURIER_QUEUE,
    JOBS_TABLE,
    NOTICE_TOPIC_ARN,
    OUTPUT_BUCKET,
    TASK_TOPIC_ARN,
    dead_queue_name,
    queue_url,
)
from local.icons import icon_settings
from local.layout import Layout
from local.ports import LOOPBACK
from local.processes import GivenUpError, Part, Probe
from runtimes.registry import RUNTIME_TYPES
from runtimes.spec import Managed
from runtimes.standin.server import CONTROL

AGENT_DRAIN_S = 5.0
"""How long an agent may continue its job after SIGTERM."""
_NAMES = {
    "TASK_TOPIC_ARN": TASK_TOPIC_ARN,
    "OUTPUT_BUCKET": OUTPUT_BUCKET,
    "JOBS_TABLE": JOBS_TABLE,
}
"""Names of AWS resources that all Lambdas get, as in a deployment."""
_PROBE_TIMEOUT_S = 2.0
_LOADING_S = 1800.0
_DEAD = re.compile(r'"live":\s*false')


def aws_part(layout: Layout) -> Part:
    """AWS."""
    arguments = [f"--port={layout.aws_port}", f"--runtimes={layout.runtimes_file}"]
    arguments += [f"--input-bucket={name}" for name in layout.config.input_buckets]
    if layout.is_kept:
        days = dict(lifetimes(layout.config, jobs_kept_s=RETENTION_S).values())
        if (pictures := layout.config.output_bucket.expire_days) is not None:
            days[""] = pictures
        arguments += [f"--keep={layout.store}", f"--lifetimes={json.dumps(days)}"]
    part = _part(layout, "aws", "local.aws_server", *arguments)
    holds = "" if layout.is_kept else "all tasks and pictures"
    return replace(part, probe=_listens(LOOPBACK, layout.aws_port), holds=holds)


def door_part(layout: Layout) -> Part:
    """The API: API Gateway and the Lambda behind it, or one process of its own."""
    gateway = layout.config.apigw
    module, arguments = "api.asgi", [f"--prefix=/{gateway.stage_name}"]
    if not layout.is_asgi:
        module, arguments = "local.door", [f"--stage={gateway.stage_name}"]
    arguments += [f"--host={layout.host}", f"--port={layout.gateway_port}", *_throttle(layout)]
    part = _part(layout, "door", module, *arguments, **_api_names(layout))
    return replace(part, probe=_listens(layout.reachable_host, layout.gateway_port))


def front_part(layout: Layout, dialect: str) -> Part:
    """A dialect at a root of its own."""
    port = layout.fronts[dialect]
    arguments = [f"--face={dialect}", f"--host={layout.host}", f"--port={port}", *_throttle(layout)]
    arguments += [f"--keyless={layout.keyless}"] if layout.keyless else []
    part = _part(layout, dialect, "api.asgi", *arguments, **_api_names(layout))
    return replace(part, probe=_listens(layout.reachable_host, port))


def _throttle(layout: Layout) -> list[str]:
    throttle = layout.config.apigw.throttle
    return [f"--rate-limit={throttle.rate_limit}", f"--burst-limit={throttle.burst_limit}"]


def _api_names(layout: Layout) -> dict[str, str]:
    gateway = layout.config.apigw
    return {
        **_NAMES,
        "NOTICE_TOPIC_ARN": NOTICE_TOPIC_ARN,
        "API_KEYS_FILE": str(layout.keys_file),
        "RUNTIMES_FILE": str(layout.runtimes_file),
        "KEEP_REQUESTS": str(layout.config.keep_requests).lower(),
        "CORS_ORIGINS": " ".join(gateway.cors_origins),
        "SENDS_FILES": str(layout.has_strangers).lower(),
        **webhook_names(layout),
        **icon_settings(layout),
    }


def server_part(layout: Layout, runtime: ModelsRuntime, http: aiohttp.ClientSession) -> Part:
    """A runtime's model server or managed service: a stand-in, or the flux server itself if it can run."""
    name, port = f"{runtime.name}-server", str(urlsplit(layout.server_urls[runtime.name]).port)
    options = {"OUTPUT_BUCKET": OUTPUT_BUCKET, **_model_options(runtime)}
    if layout.flux is not None:
        place = {"MODELS_FOLDER": str(layout.flux.models), "HOST": LOOPBACK, "PORT": port}
        part = _part(layout, name, "runtimes.flux.server", **options, **place)
        part = replace(part, command=(str(layout.flux.python), *part.command[1:]), ready_s=_LOADING_S)
    else:
        arguments = [f"--type={runtime.type}", f"--host={LOOPBACK}", f"--port={port}"]
        arguments += [f"--model={model}" for model in _models(runtime)]
        part = _part(layout, name, "runtimes.standin", *arguments, **options)
    return replace(part, probe=_takes_tasks(layout, runtime, http))


def agent_part(layout: Layout, runtime: ModelsRuntime) -> Part:
    """A runtime's queue agent."""
    hosting, server = RUNTIME_TYPES[runtime.type].hosting, {"API_BASE_URL": layout.server_urls[runtime.name]}
    if isinstance(hosting, Managed):
        server = {hosting.endpoint_variable: layout.server_urls[runtime.name], **_model_options(runtime)}
    deployed = runtime.deployed(layout.config.deadlines)
    deadlines = deployed.deadlines
    others = {
        f"SQS_{priority.name}_QUEUE_URL": queue_url(layout.aws_endpoint, f"{runtime.name}{priority.suffix}")
        for priority in deployed.priorities
        if priority is not Priority.NORMAL
    }
    return _part(
        layout,
        f"{runtime.name}-agent",
        "queue_agent",
        LOGLEVEL=layout.environment.get("LOGLEVEL", "INFO"),
        SQS_QUEUE_URL=queue_url(layout.aws_endpoint, runtime.name),
        SQS_DEAD_QUEUE_URL=queue_url(layout.aws_endpoint, dead_queue_name(runtime.name)),
        **others,
        SNS_TOPIC_ARN=NOTICE_TOPIC_ARN,
        S3_BUCKET=OUTPUT_BUCKET,
        INPUT_BUCKETS=",".join(layout.config.input_buckets),
        RUNTIME_TYPE=runtime.type,
        RUNTIME_NAME=runtime.name,
        **server,
        DYNAMIC_SD_MODEL="true" if runtime.dynamic_model else "false",
        ALLOW_LOOPBACK_INPUTS=str(not layout.has_strangers).lower(),
        SHUTDOWN_GRACE_S=f"{AGENT_DRAIN_S:g}",
        START_TIMEOUT_S=f"{deadlines.start_s:g}",
        EXECUTION_TIMEOUT_S=f"{deadlines.execution_s:g}",
        STALL_TIMEOUT_S=f"{deadlines.stall_s:g}",
        MAX_START_TIMEOUT_S=f"{deadlines.max_start_s:g}",
        MAX_EXECUTION_TIMEOUT_S=f"{deadlines.max_execution_s:g}",
        MAX_PIXELS=str(runtime.max_pixels),
        JOBS_TABLE=JOBS_TABLE,
    )


def keeper_part(layout: Layout) -> Part:
    """The keeper."""
    start = f"{layout.config.deadlines.start_seconds:g}"
    arguments = f"--runtimes={layout.runtimes_file}"
    return _part(
        layout, "keeper", "local.keeper", arguments, START_TIMEOUT_S=start, NOTICE_TOPIC_ARN=NOTICE_TOPIC_ARN, **_NAMES
    )


def courier_part(layout: Layout) -> Part:
    """The courier."""
    return _part(layout, "courier", "courier", **_NAMES, **webhook_names(layout))


def webhook_names(layout: Layout) -> dict[str, str]:
    """What API and courier get for webhooks; the API signs links, too.

    Where all callers are on this machine, webhooks may go anywhere.
    """
    secret = {"SIGNING_SECRET": layout.signing_secret}
    if not layout.config.webhooks.enabled:
        return secret
    return secret | {
        "COURIER_QUEUE_URL": queue_url(layout.aws_endpoint, COURIER_QUEUE),
        "COURIER_DEAD_QUEUE_URL": queue_url(layout.aws_endpoint, dead_queue_name(COURIER_QUEUE)),
        "ALLOW_PRIVATE_ADDRESSES": str(
            not layout.has_strangers or layout.config.webhooks.allow_private_addresses
        ).lower(),
    }


def notices_part(layout: Layout) -> Part:
    """Prints every notice as a line."""
    return _part(layout, "notices", "local.notices", *(["--s3"] if layout.is_kept else []))


def _takes_tasks(layout: Layout, runtime: ModelsRuntime, http: aiohttp.ClientSession) -> Probe:
    """Whether a model server that was started here accepts tasks; raises GivenUpError if it never will."""

    async def probe() -> bool:
        status, is_dead = await _health(layout, runtime, http)
        if is_dead:
            raise GivenUpError
        return status == HTTPStatus.OK

    return probe


async def server_doubt(layout: Layout, runtime: ModelsRuntime, http: aiohttp.ClientSession) -> str | None:
    """Why a user's model server accepts no tasks now; None if it does."""
    hosting, (status, _) = RUNTIME_TYPES[runtime.type].hosting, await _health(layout, runtime, http)
    if status is None:
        return "does not answer yet; its agent waits for it"
    if status == HTTPStatus.OK or isinstance(hosting, Managed):
        return None
    hint = hosting.not_found_hint if status == HTTPStatus.NOT_FOUND else "its agent waits until that is 200"
    return f"answers {status} to {hosting.health_path}; {hint}"


async def _health(layout: Layout, runtime: ModelsRuntime, http: aiohttp.ClientSession) -> tuple[int | None, bool]:
    """A model server's status, None if it does not answer, and whether it says that it will never be ready."""
    hosting = RUNTIME_TYPES[runtime.type].hosting
    # A service of AWS has no such path, but its stand-in has those of all stand-ins.
    path = f"{CONTROL}faults" if isinstance(hosting, Managed) else hosting.health_path
    url = urlsplit(layout.server_urls[runtime.name])._replace(path=path, query="").geturl()
    timeout = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
    try:
        async with http.get(url, timeout=timeout, allow_redirects=False) as response:
            is_dead = response.status == HTTPStatus.SERVICE_UNAVAILABLE and _DEAD.search(await response.text())
            return response.status, bool(is_dead)
    except (aiohttp.ClientError, TimeoutError):
        return None, False


def stand_in_url(runtime: ModelsRuntime, port: int) -> str:
    """Base URL of a stand-in, in the form of its type's default URL."""
    hosting, place = RUNTIME_TYPES[runtime.type].hosting, f"{LOOPBACK}:{port}"
    if isinstance(hosting, Managed):
        return f"http://{place}"
    return urlsplit(hosting.default_url)._replace(netloc=place).geturl()


def _model_options(runtime: ModelsRuntime) -> dict[str, str]:
    """``model`` of a runtime as its server, or a managed type's agent, reads it."""
    if runtime.model is None:
        return {}
    return {"MODEL_OPTIONS": runtime.model.model_dump_json(by_alias=True, exclude_none=True)}


def _models(runtime: ModelsRuntime) -> list[str]:
    """The checkpoints of a stand-in: the runtime's own, and those of the samples if the runtime is dynamic."""
    if runtime.static_model is not None:
        return [runtime.static_model]
    names = [runtime.model_filename, SAMPLE_CHECKPOINT]
    return list(dict.fromkeys(name for name in names if name is not None))


def _part(layout: Layout, name: str, module: str, *arguments: str, **environment: str) -> Part:
    command = (sys.executable, "-m", module, *arguments)
    return Part(name=name, command=command, environment={**layout.environment, **environment})


def _listens(host: str, port: int) -> Probe:
    """Whether somebody listens, for parts that open their port only when they are ready."""

    async def probe() -> bool:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            return False
        writer.close()
        return True

    return probe
