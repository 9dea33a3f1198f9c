"""An agent's pipeline and worker with everything around them in memory."""

import asyncio
import base64
import io
import json
import time
from dataclasses import dataclass

from PIL import Image

from contract.deadlines import Deadlines
from contract.objects import ResultNames
from queue_agent.content import Contents
from queue_agent.endings import Endings
from queue_agent.errors import PlatformError
from queue_agent.execution import Execution
from queue_agent.line import Line
from queue_agent.memory import MemoryBudget
from queue_agent.pipeline import Pipeline
from queue_agent.ports import Capacity, Claim, Output, Result, Work
from queue_agent.results import Results
from queue_agent.server_monitor import ServerMonitor
from queue_agent.telemetry.silence import NoTelemetry
from queue_agent.unrecorded import UnrecordedJobs
from queue_agent.worker import Worker

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JOB = "01a1fbd3-be07-75d4-8441-81dd5d036ae5"
NAMES = ResultNames(prefix="output", task_id="a", job=JOB)


def base64_picture(side_px):
    """A blank picture; even a huge one is a short text."""
    stream = io.BytesIO()
    Image.new("1", (side_px, side_px)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


class Queue:
    """The runtime's queue: what was done with each message, in order."""

    visibility_s = 90

    def __init__(self, *messages):
        self.waiting = list(messages)
        self.log = []

    async def receive(self, most=1):
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        if not taken:
            await asyncio.sleep(20 if most == 1 else 1)
        return taken

    async def extend(self, message):
        self.log.append("extend")

    async def release(self, message, delay_s=0):
        self.log.append(("release", delay_s))

    async def delete(self, message):
        self.log.append("delete")

    async def bury(self, message, code, reason):
        self.log.append(("bury", code))


class Store:
    """S3 in a dictionary."""

    def __init__(self):
        self.objects = {}
        self.writes = []
        self.broken = False

    async def put(self, bucket, key, data, content_type, *, tenant=None):
        if self.broken:
            raise PlatformError("s3:PutObject failed: SlowDown")
        self.objects[bucket, key] = data
        self.writes.append((key, content_type))

    async def get(self, bucket, key, max_bytes, *, tenant=None):
        return self.objects.get((bucket, key))


class NoInputs:
    """Tasks without inputs."""

    async def fetch(self, inputs, tenant):
        assert not inputs
        return {}


class Table:
    """A jobs table with one job in it.

    Attributes:
        writes: What was written, in order.
        answer: What a claim answers in place of itself.
        broken: Calls that fail, by name.
    """

    authoritative = True

    def __init__(self, *, number=1, attempt=1, generation=0, cancel_requested=False, answer=None, start_s=3600):
        self.claimed = Claim(
            token="token",
            number=number,
            attempt=attempt,
            generation=generation,
            start_by_s=time.time() + start_s,
            start_s=start_s,
            cancel_requested=cancel_requested,
        )
        self.answer = answer
        self.writes = []
        self.broken = {}
        self.cancel = False

    def _write(self, name, *details):
        if name in self.broken:
            raise self.broken[name]
        self.writes.append((name, *details))

    async def claim(self, task, job, message, *, lease_s, start_s):
        self._write("claim")
        return self.answer or self.claimed

    async def renew(self, job, claim, *, lease_s, attempts, progress):
        self._write("renew", attempts)
        return self.cancel

    async def hand_back(self, job, claim, *, attempts, blameless, start_s):
        self._write("hand back", attempts, "blameless" if blameless else "counted")

    async def finish(self, job, claim, notice, *, attempts, stages_s):
        self._write("finish", notice.status, attempts)

    async def notified(self, job):
        self._write("notified")


class Notices:
    """The notices sent."""

    def __init__(self):
        self.sent = []
        self.broken = False

    async def publish(self, notice):
        if self.broken:
            raise PlatformError("sns:Publish failed: Throttling")
        self.sent.append(notice)


@dataclass(frozen=True)
class Prepared:
    """A task that could run now."""

    content: object
    work = Work("kind", 1)


class Server:
    """A model server that gives what it is told to: a result, or an error, or nothing for a while."""

    capacity = Capacity()

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.runs = []
        self.interrupted = []
        self.cleared = False
        self.discarded = []

    async def wait_until_ready(self): ...

    async def prepare(self, task, inputs):
        return Prepared(task.content)

    async def progress(self, job):
        return None

    async def liveness_token(self):
        return len(self.runs)

    async def clear(self):
        self.cleared = True

    def discard(self, prepared, *, over):
        self.discarded.append((prepared.content, over))

    async def run(self, prepared, job, claim, signals):
        self.runs.append((prepared.content, job, claim))
        outcome = self.outcomes.pop(0)
        signals.started()
        if isinstance(outcome, BaseException):
            raise outcome
        if isinstance(outcome, int | float):
            await asyncio.sleep(outcome)
        signals.freed()
        return outcome if isinstance(outcome, Result) else picture()

    async def interrupt(self, job, claim):
        self.interrupted.append(job)

    async def aclose(self): ...


def picture(*data, **changes):
    outputs = [Output(item, 7) for item in data or (PNG,)]
    return Result(**{"outputs": outputs, "parameters": {"steps": 2}, "answer": {"info": {}}, "model": "m", **changes})


class Agent:
    """A pipeline with everything around it in memory."""

    def __init__(self, *outcomes, timeout_s=5.0, start_s=1e9, jobs=None, telemetry=None):
        self.queue, self.store, self.notices, self.server = Queue(), Store(), Notices(), Server(*outcomes)
        self.jobs = jobs or UnrecordedJobs()
        self.watch = ServerMonitor(self.server.liveness_token, stall_s=60)
        self.telemetry = telemetry or NoTelemetry()
        results = Results(self.store, bucket="bucket", runtime_name="r")
        self.pipeline = Pipeline(
            queue=self.queue,
            jobs=self.jobs,
            execution=Execution(self.server, self.server, self.watch, self.telemetry),
            inputs=NoInputs(),
            contents=Contents(self.store, "bucket"),
            results=results,
            endings=Endings(
                queue=self.queue,
                jobs=self.jobs,
                notices=self.notices,
                results=results,
                runtime_name="r",
                bucket="bucket",
                telemetry=self.telemetry,
            ),
            memory=MemoryBudget(2**30),
            deadlines=Deadlines(
                start_s=start_s, execution_s=timeout_s, stall_s=60, max_start_s=start_s, max_execution_s=3600
            ),
            telemetry=self.telemetry,
        )
        self.line = Line()

    async def handle(self, message):
        await self.pipeline.handle(message, self.line.join())

    @property
    def manifest(self):
        return json.loads(self.store.objects["bucket", NAMES.answer_key])


class Mark:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def busy(self):
        self.told.append("busy")

    def idle(self):
        self.told.append("idle")


def worker_of(agent, *, grace_s=5.0):
    stop = asyncio.Event()
    agent.mark = Mark()
    worker = Worker(
        queue=agent.queue,
        server=agent.server,
        pipeline=agent.pipeline,
        line=agent.line,
        watch=agent.watch,
        mark=agent.mark,
        stop=stop,
        grace_s=grace_s,
    )
    return asyncio.create_task(worker.run()), stop
