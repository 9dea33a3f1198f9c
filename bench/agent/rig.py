"""Everything around a worker: AWS at a region's distance, GPUs, and the processes that are measured."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from bench.agent.cloud import Cloud
from bench.agent.gpu import picture_png
from bench.agent.processor import ProcessorTime
from bench.agent.tasks import Workload
from bench.agent.timeline import Span, Timeline
from bench.agent.wire import Call, Wire
from configuration.config import Config, ModelsRuntime, parse_config
from contract.task import DEFAULT_PREFIX
from deploy.verify.samples import SAMPLE_CHECKPOINT
from local import parts
from local.output import PartOutput
from local.platform import ROOT
from local.ports import free_port
from local.processes import Part, SupervisedProcess
from local.sandbox import sandboxed
from runtimes.registry import RUNTIME_TYPES


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Something that is measured.

    Attributes:
        name: Names its logs.
        module: What is run.
        environment: What differs from the local platform's agent.
    """

    name: str
    module: str
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)


AGENT = Worker(name="agent", module="queue_agent")
AGENT_WITHOUT_TABLE = Worker(name="agent-without-table", module="queue_agent", environment={"JOBS_TABLE": ""})
SEQUENTIAL = Worker(name="sequential", module="bench.agent.sequential")

_READY_S = 60.0
_GRACE_S = 10.0
_LOOK_EVERY_S = 0.2
_STARTS_WITHIN_S = 0.01
_PATIENCE_S = 60.0
_LONG_POLL = "sqs ReceiveMessage"


class RunFailedError(Exception):
    """What was to be measured did not do its work."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was seen of some workers and their GPUs, in the same order.

    Attributes:
        jobs: What ran on each GPU, named by task.
        aws_calls: What was asked of AWS, by all of them.
        processors: Processor time of each worker.
    """

    jobs: Sequence[Sequence[Span]]
    aws_calls: Sequence[Call]
    processors: Sequence[ProcessorTime]

    @property
    def timelines(self) -> list[Timeline]:
        """Of each GPU that ran a job."""
        return [Timeline(jobs) for jobs in self.jobs if jobs]

    @property
    def timeline(self) -> Timeline:
        """The first GPU's."""
        return Timeline(self.jobs[0])

    @property
    def processor_ms_a_task(self) -> float:
        """The first worker's processor time from its first job's start to its last one's end, divided by the tasks."""
        line = self.timeline
        return self.processors[0].between_s(line.start, line.end) * 1000 / len(line.jobs)


@dataclass(kw_only=True)
class Gpu:
    """A stand-in.

    Attributes:
        port: Where it listens.
        seen: How many of its jobs belong to runs that are over.
    """

    port: int
    seen: int = 0


@dataclass(frozen=True, kw_only=True)
class Rig:
    """AWS and GPUs, running; made by ``open_rig``.

    Attributes:
        layout: Where everything is, as workers see it: AWS through the wire.
        cloud: AWS without the wire.
        aws_wire: The wire.
        gpus: The GPUs of each runtime.
        http: Asks the GPUs what they ran.
        logs: Directory of all logs.
    """

    layout: parts.Layout
    cloud: Cloud
    aws_wire: Wire
    gpus: Mapping[str, Sequence[Gpu]]
    http: aiohttp.ClientSession
    logs: Path

    async def drain(self, worker: Worker, load: Workload) -> Run:
        """Put all tasks into the queue, then start one worker and watch until all are done.

        Args:
            worker: What is measured.
            load: The tasks.

        Raises:
            RunFailedError: Not every task was done, once and with its picture.
        """
        await self.cloud.put_inputs(load.input_keys, picture_png())
        for message in load.messages():
            await self.cloud.publish(load.runtime, message)
        async with self._workers(worker, load.runtime, 1) as processors:
            return await self._watched(load, processors)

    async def serve(
        self, worker: Worker, load: Workload, size: int, feed: Callable[[], Coroutine[Any, Any, None]]
    ) -> Run:
        """Start several workers on one queue, each with a GPU of its own, and feed them once all are idle.

        Raises:
            RunFailedError: As for ``drain``.
        """
        self.aws_wire.calls.clear()
        async with self._workers(worker, load.runtime, size) as processors:
            await _until(self._idle(size), _READY_S, "idle workers")
            async with asyncio.TaskGroup() as group:
                group.create_task(feed(), name="feed")
                return await self._watched(load, processors)

    def _idle(self, size: int) -> Callable[[], Awaitable[bool]]:
        async def are_idle() -> bool:
            return sum(call.name == _LONG_POLL and call.answered is None for call in self.aws_wire.calls) >= size

        return are_idle

    @asynccontextmanager
    async def _workers(self, worker: Worker, runtime: str, count: int) -> AsyncIterator[list[ProcessorTime]]:
        async with AsyncExitStack() as stack:
            processes = []
            for index, gpu in enumerate(self.gpus[runtime][:count]):
                urls = {runtime: parts.stand_in_url(_runtime(self.layout.config, runtime), gpu.port)}
                layout = replace(self.layout, server_urls=urls)
                part = parts.agent_part(layout, _runtime(self.layout.config, runtime))
                part = replace(
                    part,
                    name=f"{worker.name}-{runtime}-{index}",
                    command=(sys.executable, "-m", worker.module),
                    environment={**part.environment, **worker.environment},
                )
                processes.append(await stack.enter_async_context(_running(part, self.logs)))
            pids = [await _pid(process) for process in processes]
            yield [await stack.enter_async_context(ProcessorTime(pid)) for pid in pids]
            for process, pid in zip(processes, pids, strict=True):
                if process.pid != pid:
                    raise RunFailedError(f"{worker.name} ended; its log is {process.output.path}")

    async def _watched(self, load: Workload, processors: Sequence[ProcessorTime]) -> Run:
        gpus = self.gpus[load.runtime][: len(processors)]
        expected = len(load.steps)

        async def are_all_done() -> bool:
            jobs = [job for gpu in gpus for job in await self._jobs(gpu)]
            ended = sum(job["end"] is not None for job in jobs)
            return ended >= expected and await self.cloud.is_done(load.runtime)

        await _until(are_all_done, load.longest_s + _PATIENCE_S, f"{expected} tasks done; the logs are in {self.logs}")
        jobs = [await self._jobs(gpu) for gpu in gpus]
        await self._check(load, [job for some in jobs for job in some])
        run = Run(
            jobs=[load.spans(some) for some in jobs],
            aws_calls=tuple(self.aws_wire.calls),
            processors=processors,
        )
        self.aws_wire.calls.clear()
        for gpu, some in zip(gpus, jobs, strict=True):
            gpu.seen += len(some)
        return run

    async def _jobs(self, gpu: Gpu) -> list[dict[str, Any]]:
        async with self.http.get(f"http://127.0.0.1:{gpu.port}/_standin/jobs") as response:
            jobs: list[dict[str, Any]] = (await response.json())["jobs"]
        return jobs[gpu.seen :]

    async def _check(self, load: Workload, jobs: Sequence[Mapping[str, Any]]) -> None:
        """See that every task ran once and left its picture and its manifest."""
        keys = [key for key in await self.cloud.take_results() if key.startswith(f"{DEFAULT_PREFIX}/")]
        pictures, manifests = (sum(key.endswith(end) for key in keys) for end in (".png", ".out"))
        expected, good = len(load.steps), sum(job["outcome"] == "success" for job in jobs)
        if (len(jobs), good, pictures, manifests) != (expected,) * 4:
            found = f"{len(jobs)} jobs, {good} of them good, {pictures} pictures, {manifests} manifests"
            raise RunFailedError(f"{expected} tasks gave {found}; the logs are in {self.logs}")


@asynccontextmanager
async def open_rig(sizes: Mapping[str, int], step_s: float, folder: Path) -> AsyncIterator[Rig]:
    """Start AWS and GPUs; all has ended when the context is left.

    Args:
        sizes: How many GPUs each runtime has.
        step_s: How long a sampling step takes on each.
        folder: Takes the logs.
    """
    config = _config(sizes)
    runtimes_file = folder / "runtimes.json"
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
        starting = [await stack.enter_async_context(_running(parts.aws_part(layout), folder))]
        gpus: dict[str, list[Gpu]] = {runtime: [] for runtime in sizes}
        for runtime, size in sizes.items():
            for index in range(size):
                port = free_port()
                part = _gpu_part(layout, _runtime(config, runtime), port, step_s, http)
                part = replace(part, name=f"gpu-{runtime}-{index}")
                starting.append(await stack.enter_async_context(_running(part, folder)))
                gpus[runtime].append(Gpu(port=port))
        await asyncio.gather(*(process.wait_ready(_READY_S) for process in starting))
        aws_wire = await stack.enter_async_context(Wire(layout.aws_port))
        cloud = Cloud(layout.aws_endpoint)
        far = replace(
            layout, aws_port=aws_wire.port, environment=sandboxed(os.environ, f"http://127.0.0.1:{aws_wire.port}")
        )
        yield Rig(layout=far, cloud=cloud, aws_wire=aws_wire, gpus=gpus, http=http, logs=folder)


def _config(runtimes: Mapping[str, int]) -> Config:
    entries = [
        {
            "name": name,
            "namespace": name,
            "type": name,
            "modelFilename": SAMPLE_CHECKPOINT if RUNTIME_TYPES[name].loads_checkpoint else None,
        }
        for name in runtimes
    ]
    return parse_config({"stackName": "bench", "modelBucketArn": "arn:aws:s3:::bench", "modelsRuntime": entries})


def _runtime(config: Config, name: str) -> ModelsRuntime:
    return next(one for one in config.models_runtime if one.name == name)


def _gpu_part(
    layout: parts.Layout, runtime: ModelsRuntime, port: int, step_s: float, http: aiohttp.ClientSession
) -> Part:
    url = parts.stand_in_url(runtime, port)
    part = parts.server_part(replace(layout, server_urls={runtime.name: url}), runtime, http)
    arguments = part.command[part.command.index("runtimes.standin") + 1 :]
    return replace(part, command=(sys.executable, "-m", "bench.agent.gpu", *arguments, f"--step-s={step_s}"))


@asynccontextmanager
async def _running(part: Part, folder: Path) -> AsyncIterator[SupervisedProcess]:
    process = SupervisedProcess(part, PartOutput(part.name, folder / f"{part.name}.log"), directory=ROOT)
    process.start()
    try:
        yield process
    finally:
        await process.stop(_GRACE_S)


async def _pid(process: SupervisedProcess) -> int:
    while True:
        if process.pid is not None:
            return process.pid
        await asyncio.sleep(_STARTS_WITHIN_S)


async def _until(condition: Callable[[], Awaitable[bool]], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > deadline:
            raise RunFailedError(f"not within {timeout_s:.0f} s: {what}")
        await asyncio.sleep(_LOOK_EVERY_S)
