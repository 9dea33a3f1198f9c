"""An agent with everything around it in memory."""

import asyncio
import contextlib
import dataclasses
import json
import time
from types import SimpleNamespace

from contract.deadlines import Deadlines
from contract.objects import ResultNames
from jobs.job import Claim
from queue_agent.execution import Execution
from queue_agent.memory import MemoryBudget
from queue_agent.ports import Capacity, Output, Result, Work
from queue_agent.previews import Previews
from queue_agent.processing import Processor
from queue_agent.results import Results
from queue_agent.scheduler.slots import Scheduler
from queue_agent.server_monitor import ServerMonitor
from queue_agent.telemetry.recorder import Recorder
from queue_agent.worker import Worker

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
JOB = "01a1fbd3-be07-75d4-8441-81dd5d036ae5"
NAMES = ResultNames(prefix="output", task_id="a", job=JOB)


def picture(*data, **changes):
    outputs = [Output(item, 7) for item in data or (PNG,)]
    return Result(**{"outputs": outputs, "parameters": {"steps": 2}, "answer": {"info": {}}, "model": "m", **changes})


async def until(condition, timeout_s=60):
    """Wait for a condition that no event announces."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.001)


async def no_inputs(inputs, tenant=None):
    """Reads the inputs of tasks that have none."""
    assert not inputs
    return {}


class FakeQueue:
    """The runtime's queue: what was done with each message, in order."""

    visibility_s = 90

    def __init__(self, messages=()):
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
    """S3 in a dictionary; what is not read to its end is not there."""

    def __init__(self):
        self.objects = {}
        self.writes = []

    async def put(self, bucket, key, data, content_type, *, tenant=None):
        self.objects[bucket, key] = data
        self.writes.append((key, content_type))

    async def put_stream(self, bucket, key, chunks, content_type, *, tenant=None):
        data = b"".join([chunk async for chunk in chunks])
        await self.put(bucket, key, data, content_type)
        return len(data)

    async def get(self, bucket, key, max_bytes, *, tenant=None):
        return self.objects.get((bucket, key))


class FakeTable:
    """A jobs table with one job in it.

    Attributes:
        writes: What was written, in order.
        answer: The answer to a claim, in place of the claim itself.
        broken: Calls that fail, by name.
        reasons: Why the job was released, each time.
        outputs: What its pictures are, once it has ended.
    """

    def __init__(self, *, number=1, attempt=1, redrives=0, answer=None, start_s=3600):
        start = {"start_by_s": time.time() + start_s, "start_s": start_s}
        claim = {"token": "token", "number": number, "attempt": attempt, "redrives": redrives}
        self.claimed = Claim(**claim, **start, cancel_requested=False)
        self.answer = answer
        self.writes = []
        self.reasons = []
        self.outputs = None
        self.broken = {}

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
        return False

    async def cancel_requested(self, job):
        return False

    async def release(self, job, claim, *, attempts, blameless, start_s, reason=None):
        self.reasons.append(reason)
        self._write("release", attempts, "blameless" if blameless else "counted")

    async def complete(self, job, claim, notice, *, attempts, stages_s, outputs):
        self.outputs = outputs
        self._write("complete", notice.status, attempts)

    async def notified(self, job):
        self._write("notified")


class FakeServer:
    """A model server with its outcomes set: results, errors, or seconds that a job takes; ``started`` once one runs."""

    capacity = Capacity()
    queue_s = 0.0

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.runs = []
        self.interrupted = []
        self.discarded = []
        self.started = asyncio.Event()

    async def wait_until_ready(self): ...

    async def clear(self): ...

    async def prepare(self, task, inputs):
        return SimpleNamespace(content=task.content, work=Work("kind", 1))

    async def progress(self, job):
        return None

    async def preview(self, job):
        return None

    async def liveness_token(self):
        return len(self.runs)

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


class Agent:
    """An agent with everything around it in memory; ``marks`` says when its pod was marked busy and idle."""

    def __init__(self, *outcomes, jobs=None, memory=None, messages=(), grace_s=60.0):
        self.queue, self.store, self.notices = FakeQueue(messages), FakeStore(), []
        self.server = FakeServer(*outcomes)
        self.jobs = jobs or FakeTable()
        self.monitor = ServerMonitor(self.server.liveness_token, stall_s=60)
        self.scheduler = Scheduler()
        self.marks = []
        self._grace_s = grace_s
        telemetry = Recorder()
        limits = {"start_s": 1e9, "execution_s": 60, "stall_s": 60, "max_start_s": 1e9, "max_execution_s": 3600}
        self.processor = Processor(
            queue=self.queue,
            jobs=self.jobs,
            execution=Execution(self.server, self.server, self.monitor, telemetry),
            fetch_inputs=no_inputs,
            store=self.store,
            results=Results(s3=self.store, bucket="bucket", runtime_name="r"),
            previews=Previews(server=self.server, store=self.store, bucket="bucket"),
            publish=lambda notice: self.publish(notice),  # noqa: PLW0108 (tests replace it)
            memory=memory or MemoryBudget(2**30),
            deadlines=Deadlines(**limits),
            telemetry=telemetry,
        )

    async def publish(self, notice):
        self.notices.append(notice)

    async def process(self, message):
        await self.processor.process(message, self.scheduler.join())

    @contextlib.asynccontextmanager
    async def working(self):
        """Have a worker take the messages; stops it at the end, and waits for it."""
        marks = {name: lambda name=name: self.marks.append(name) for name in ("busy", "idle")}
        stop = asyncio.Event()
        worker = Worker(
            queue=self.queue,
            server=self.server,
            processor=self.processor,
            scheduler=self.scheduler,
            monitor=self.monitor,
            annotator=SimpleNamespace(**marks),
            stop=stop,
            grace_s=self._grace_s,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            yield stop
            stop.set()

    @property
    def manifest(self):
        return json.loads(self.store.objects["bucket", NAMES.answer_key])
