"""An agent with everything around it in memory."""

import asyncio
import base64
import dataclasses
import io
import json
import time
from dataclasses import dataclass

from PIL import Image

from contract.deadlines import Deadlines
from contract.objects import ResultNames
from jobs.job import Claim
from queue_agent.errors import PlatformError
from queue_agent.execution import Execution
from queue_agent.memory import MemoryBudget
from queue_agent.ports import Capacity, Output, Result, Work
from queue_agent.processing import Processor
from queue_agent.results import Results
from queue_agent.scheduler.slots import Scheduler
from queue_agent.server_monitor import ServerMonitor
from queue_agent.telemetry.setup import silent_recorder
from queue_agent.worker import Worker

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JOB = "01a1fbd3-be07-75d4-8441-81dd5d036ae5"
NAMES = ResultNames(prefix="output", task_id="a", job=JOB)


def base64_picture(side_px):
    """A blank picture; even a huge one is a short text."""
    stream = io.BytesIO()
    Image.new("1", (side_px, side_px)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


async def until(condition, timeout_s=60):
    """Wait for a condition that no event announces."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.001)


class FakeQueue:
    """The runtime's queue: what was done with each message, in order."""

    visibility_s = 90

    def __init__(self, *messages):
        self.waiting = list(messages)
        self.log = []

    async def receive(self, max_messages=1):
        taken, self.waiting = self.waiting[:max_messages], self.waiting[max_messages:]
        if not taken:
            await asyncio.sleep(20 if max_messages == 1 else 1)
        return taken

    async def extend(self, message):
        self.log.append("extend")

    async def release(self, message, delay_s=0):
        self.log.append(("release", delay_s))

    async def delete(self, message):
        self.log.append("delete")

    async def dead_letter(self, message, code, reason):
        self.log.append(("dead letter", code))


class FakeStore:
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


async def no_inputs(inputs, tenant=None):
    """Reads the inputs of tasks that have none."""
    assert not inputs
    return {}


class FakeTable:
    """A jobs table with one job in it.

    Attributes:
        writes: What was written, in order.
        answer: The answer to a claim, in place of the claim itself.
        broken: Calls that fail, by name.
    """

    def __init__(self, *, number=1, attempt=1, redrives=0, cancel_requested=False, answer=None, start_s=3600):
        self.claimed = Claim(
            token="token",
            number=number,
            attempt=attempt,
            redrives=redrives,
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

    def next_delivery(self, **changes):
        """The job is claimed once more."""
        number = self.claimed.number + 1
        self.claimed = dataclasses.replace(self.claimed, **{"number": number, "attempt": number, **changes})

    async def claim(self, task, job, message, *, lease_s, start_s):
        self._write("claim")
        return self.answer or self.claimed

    async def renew(self, job, claim, *, lease_s, attempts, progress):
        self._write("renew", attempts)
        return self.cancel

    async def release(self, job, claim, *, attempts, blameless, start_s):
        self._write("release", attempts, "blameless" if blameless else "counted")

    async def complete(self, job, claim, notice, *, attempts, stages_s):
        self._write("complete", notice.status, attempts)

    async def notified(self, job):
        self._write("notified")


class FakeNotices:
    """The notices sent."""

    def __init__(self):
        self.sent = []
        self.broken = False

    async def publish(self, notice):
        if self.broken:
            raise PlatformError("sns:Publish failed: Throttling")
        self.sent.append(notice)


@dataclass(frozen=True)
class FakePrepared:
    """A task that could run now."""

    content: object
    work = Work("kind", 1)


class FakeServer:
    """A model server with its outcomes set: results, errors, or seconds that a job takes.

    Attributes:
        started: Set once a job runs.
    """

    capacity = Capacity()

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.runs = []
        self.interrupted = []
        self.cleared = False
        self.discarded = []
        self.started = asyncio.Event()

    async def wait_until_ready(self): ...

    async def prepare(self, task, inputs):
        return FakePrepared(task.content)

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
        self.started.set()
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
    """An agent's processor and scheduler with everything around them in memory."""

    def __init__(self, *outcomes, execution_s=60.0, jobs=None, memory=None):
        self.queue, self.store, self.notices = FakeQueue(), FakeStore(), FakeNotices()
        self.server = FakeServer(*outcomes)
        self.jobs = jobs or FakeTable()
        self.monitor = ServerMonitor(self.server.liveness_token, stall_s=60)
        self.scheduler = Scheduler()
        telemetry = silent_recorder()
        self.processor = Processor(
            queue=self.queue,
            jobs=self.jobs,
            execution=Execution(self.server, self.server, self.monitor, telemetry),
            fetch_inputs=no_inputs,
            store=self.store,
            results=Results(s3=self.store, bucket="bucket", runtime_name="r"),
            publish=self._publish,
            memory=memory or MemoryBudget(2**30),
            deadlines=Deadlines(
                start_s=1e9, execution_s=execution_s, stall_s=60, max_start_s=1e9, max_execution_s=3600
            ),
            telemetry=telemetry,
        )

    async def _publish(self, notice):
        await self.notices.publish(notice)

    async def process(self, message):
        await self.processor.process(message, self.scheduler.join())

    @property
    def manifest(self):
        return json.loads(self.store.objects["bucket", NAMES.answer_key])


class FakeAnnotator:
    """Notes whether there is work."""

    def __init__(self):
        self.noted = []

    def busy(self):
        self.noted.append("busy")

    def idle(self):
        self.noted.append("idle")


def worker_of(agent, *, grace_s=60.0):
    """A running worker of an agent, and what stops it."""
    stop = asyncio.Event()
    agent.annotator = FakeAnnotator()
    worker = Worker(
        queue=agent.queue,
        server=agent.server,
        processor=agent.processor,
        scheduler=agent.scheduler,
        monitor=agent.monitor,
        annotator=agent.annotator,
        stop=stop,
        grace_s=grace_s,
    )
    return asyncio.create_task(worker.run()), stop
