"""Everything around a worker: AWS at a region's distance, GPUs, and the processes that are measured."""

import asyncio
import os
import sys
import time
from bisect import bisect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import boto3

from bench.agent.gpu import picture_png
from bench.agent.timeline import Span, Timeline
from bench.agent.wire import Wire
from bench.agent.workload import STEP_S, TENANT, Workload
from configuration.config import Config, ModelsRuntime, parse_config
from contract.objects import TENANT_METADATA, tenant_label
from contract.task import DEFAULT_PREFIX, RUNTIME_ATTRIBUTE
from deploy.verify.samples import SAMPLE_CHECKPOINT
from local import parts
from local.aws import OUTPUT_BUCKET, TASK_TOPIC_ARN, queue_url
from local.output import PartOutput
from local.platform import ROOT
from local.ports import free_port
from local.processes import Part, SupervisedProcess
from local.sandbox import sandbox_environment, sandboxed
from runtimes.registry import RUNTIME_TYPES

AGENT, SEQUENTIAL = "queue_agent", "bench.agent.sequential"
"""The workers that are measured, by their modules."""

_PATIENCE_S = 60.0
_GRACE_S = 10.0
_LOOK_EVERY_S = 0.2
_USER, _SYSTEM = 11, 12
"""Places in /proc/PID/stat behind the command's name."""


class RunFailedError(Exception):
    """What was to be measured did not do its work."""


class ProcessorTime:
    """Samples the processor time of one process by the kernel's clock (Linux only)."""

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._times: list[float] = []
        self._spent_s: list[float] = []

    async def follow(self) -> None:
        """Sample until the process ends or the task is cancelled."""
        while self._stat.exists():
            fields = self._stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            self._times.append(time.time())
            self._spent_s.append((int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK"))
            await asyncio.sleep(0.05)

    def between_s(self, start: float, end: float) -> float:
        """Seconds of processor time between two Unix times, to a sample, user and system together."""
        first, last = (min(bisect(self._times, moment), len(self._times) - 1) for moment in (start, end))
        return self._spent_s[last] - self._spent_s[first]


@dataclass(frozen=True, kw_only=True)
class AgentRun:
    """What was seen of some workers and their GPUs.

    Attributes:
        jobs: What ran on each GPU, named by task.
        arrivals: When each task came into the queue, as Unix time.
        processor_s: Processor time of the first worker, from its first job's start to its last one's end.
    """

    jobs: Sequence[Sequence[Span]]
    arrivals: Mapping[str, float]
    processor_s: float

    @property
    def timeline(self) -> Timeline:
        """The first GPU's."""
        return Timeline(self.jobs[0])


@dataclass(frozen=True, kw_only=True)
class Rig:
    """AWS and GPUs, running; made by ``open_rig``.

    Attributes:
        layout: Where everything is, as workers see it: AWS through the wire.
        aws: Makes clients of AWS without the wire.
        wire: The wire.
        gpus: The GPUs' ports, by runtime.
        http: Asks the GPUs what they ran.
        logs: Directory of all logs.
    """

    layout: parts.Layout
    aws: Callable[[str], Any]
    wire: Wire
    gpus: Mapping[str, Sequence[int]]
    http: aiohttp.ClientSession = field(repr=False)
    logs: Path

    async def run(self, worker: str, load: Workload, due_s: Sequence[float] = (), gpus: int = 1) -> AgentRun:
        """Have workers do all tasks, each with a GPU of its own.

        Args:
            worker: The module that is measured.
            load: The tasks.
            due_s: When each task is submitted, once all workers are idle; by default all are in the queue before.
            gpus: How many workers there are.

        Raises:
            RunFailedError: Not every task was done, once and with its picture.
        """
        began = time.time()
        whose = {TENANT_METADATA: tenant_label(TENANT)}
        for key in load.input_keys:
            self.aws("s3").put_object(Bucket=OUTPUT_BUCKET, Key=key, Body=picture_png(), Metadata=whose)
        arrivals = {} if due_s else await self._submit(load, [0.0] * len(load.seconds))
        async with self._workers(worker, load.runtime, gpus) as processes:
            if due_s:
                await _until(self._are_idle(gpus), _PATIENCE_S, "idle workers")
                arrivals = await self._submit(load, due_s)
            pids = [process.pid for process in processes]
            processor = ProcessorTime(int(pids[0] or 0))
            following = asyncio.create_task(processor.follow(), name="processor time")
            jobs = await self._all_done(load, began, gpus)
            following.cancel()
            if [process.pid for process in processes] != pids:
                raise RunFailedError(f"a worker ended; the logs are in {self.logs}")
        spans = [load.spans(some) for some in jobs]
        first = Timeline(spans[0])
        return AgentRun(jobs=spans, arrivals=arrivals, processor_s=processor.between_s(first.start, first.end))

    async def _submit(self, load: Workload, due_s: Sequence[float]) -> dict[str, float]:
        """Submit tasks as the front door does, each when it is due; returns when each lay in the queue."""
        sns, begin, arrivals = self.aws("sns"), time.monotonic(), {}
        attributes = {RUNTIME_ATTRIBUTE: {"DataType": "String", "StringValue": load.runtime}}
        for task_id, message, due in zip(load.task_ids, load.messages(), due_s, strict=True):
            await asyncio.sleep(begin + due - time.monotonic())
            call = {"TopicArn": TASK_TOPIC_ARN, "Message": message, "MessageAttributes": attributes}
            await asyncio.to_thread(sns.publish, **call)
            arrivals[task_id] = time.time()
        return arrivals

    def _are_idle(self, count: int) -> Callable[[], Awaitable[bool]]:
        async def are_idle() -> bool:
            return self.wire.open_calls["sqs ReceiveMessage"] >= count

        return are_idle

    @asynccontextmanager
    async def _workers(self, worker: str, runtime: str, count: int) -> AsyncIterator[list[SupervisedProcess]]:
        async with AsyncExitStack() as stack:
            processes = []
            settings = _runtime(self.layout.config, runtime)
            for number, port in enumerate(self.gpus[runtime][:count]):
                layout = replace(self.layout, server_urls={runtime: parts.stand_in_url(settings, port)})
                part = replace(
                    parts.agent_part(layout, settings),
                    name=f"{worker}-{runtime}-{number}",
                    command=(sys.executable, "-m", worker),
                )
                processes.append(await stack.enter_async_context(_running(part, self.logs)))
            await _until(_have_begun(processes), _PATIENCE_S, "workers", every_s=0.01)
            yield processes

    async def _all_done(self, load: Workload, began: float, gpus: int) -> list[list[dict[str, Any]]]:
        """Wait until all tasks are done, and see that each ran once and left its picture and its manifest."""
        expected, jobs = len(load.seconds), list[list[dict[str, Any]]]()
        url = queue_url(self.layout.aws_endpoint, load.runtime)
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

        async def are_all_done() -> bool:
            jobs[:] = [await self._jobs(port, began) for port in self.gpus[load.runtime][:gpus]]
            if sum(job["end"] is not None for some in jobs for job in some) < expected:
                return False
            call = {"QueueUrl": url, "AttributeNames": names}
            answer = await asyncio.to_thread(self.aws("sqs").get_queue_attributes, **call)
            return all(answer["Attributes"][name] == "0" for name in names)

        limit_s = sum(load.seconds) * 2 + expected + _PATIENCE_S
        await _until(are_all_done, limit_s, f"{expected} tasks done; the logs are in {self.logs}")
        keys = await asyncio.to_thread(self._take_results)
        good = sum(job["outcome"] == "success" for some in jobs for job in some)
        counts = [sum(map(len, jobs)), good, *(sum(key.endswith(end) for key in keys) for end in (".png", ".out"))]
        if counts != [expected] * 4:
            found = "{} jobs, {} of them good, {} pictures, {} manifests".format(*counts)
            raise RunFailedError(f"{expected} tasks gave {found}; the logs are in {self.logs}")
        return jobs

    async def _jobs(self, port: int, began: float) -> list[dict[str, Any]]:
        async with self.http.get(f"http://127.0.0.1:{port}/_standin/jobs") as response:
            return [job for job in (await response.json())["jobs"] if job["start"] >= began]

    def _take_results(self) -> list[str]:
        """Remove all results from the output bucket; returns their keys."""
        s3 = self.aws("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=OUTPUT_BUCKET, Prefix=f"{DEFAULT_PREFIX}/")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        for key in keys:
            s3.delete_object(Bucket=OUTPUT_BUCKET, Key=key)
        return keys


@asynccontextmanager
async def open_rig(sizes: Mapping[str, int], logs: Path) -> AsyncIterator[Rig]:
    """Start AWS and so many GPUs of each runtime; all has ended when the context is left."""
    models = {name: SAMPLE_CHECKPOINT if RUNTIME_TYPES[name].loads_checkpoint else None for name in sizes}
    runtimes = [
        {"name": name, "namespace": name, "type": name, "modelFilename": model} for name, model in models.items()
    ]
    config = parse_config({"stackName": "bench", "modelBucketArn": "arn:aws:s3:::bench", "modelsRuntime": runtimes})
    runtimes_file = logs / "runtimes.json"
    runtimes_file.write_text(config.catalog.to_json(), encoding="utf-8")
    layout = parts.Layout(
        config=config,
        gateway_port=0,
        aws_port=free_port(),
        server_urls={},
        runtimes_file=runtimes_file,
        api_key="",
        environment=sandboxed(os.environ, ""),
    )
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        started = [parts.aws_part(layout)]
        gpus = {name: [free_port() for _ in range(size)] for name, size in sizes.items()}
        started += [_gpu_part(layout, name, port, http) for name, ports in gpus.items() for port in ports]
        processes = [await stack.enter_async_context(_running(part, logs)) for part in started]
        await asyncio.gather(*(process.wait_ready(_PATIENCE_S) for process in processes))
        wire = await stack.enter_async_context(Wire(layout.aws_port))
        far = sandboxed(os.environ, f"http://127.0.0.1:{wire.port}")
        near = sandbox_environment(layout.aws_endpoint)
        session = boto3.Session(
            near["AWS_ACCESS_KEY_ID"], near["AWS_SECRET_ACCESS_KEY"], region_name=near["AWS_REGION"]
        )
        yield Rig(
            layout=replace(layout, aws_port=wire.port, environment=far),
            aws=lambda service: session.client(service, endpoint_url=layout.aws_endpoint),
            wire=wire,
            gpus=gpus,
            http=http,
            logs=logs,
        )


def _runtime(config: Config, name: str) -> ModelsRuntime:
    return next(one for one in config.models_runtime if one.name == name)


def _gpu_part(layout: parts.Layout, name: str, port: int, http: aiohttp.ClientSession) -> Part:
    """A stand-in that draws nothing."""
    runtime = _runtime(layout.config, name)
    there = replace(layout, server_urls={name: parts.stand_in_url(runtime, port)})
    part = parts.server_part(there, runtime, http)
    arguments = part.command[part.command.index("runtimes.standin") + 1 :]
    command = (sys.executable, "-m", "bench.agent.gpu", *arguments, f"--step-s={STEP_S}")
    return replace(part, name=f"gpu-{name}-{port}", command=command)


@asynccontextmanager
async def _running(part: Part, logs: Path) -> AsyncIterator[SupervisedProcess]:
    process = SupervisedProcess(part, PartOutput(part.name, logs / f"{part.name}.log"), directory=ROOT)
    process.start()
    try:
        yield process
    finally:
        await process.stop(_GRACE_S)


def _have_begun(processes: Sequence[SupervisedProcess]) -> Callable[[], Awaitable[bool]]:
    async def have_begun() -> bool:
        return all(process.pid is not None for process in processes)

    return have_begun


async def _until(
    condition: Callable[[], Awaitable[bool]], timeout_s: float, what: str, every_s: float = _LOOK_EVERY_S
) -> None:
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > deadline:
            raise RunFailedError(f"not within {timeout_s:.0f} s: {what}")
        await asyncio.sleep(every_s)
