"""Everything known of the job that a message is about, from its receipt to its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from contract.deadlines import Deadlines
from contract.objects import ResultNames
from contract.task import Task
from jobs.job import StoredOutput
from queue_agent.aws.queue import QueueMessage
from queue_agent.log import log_fields
from queue_agent.memory import TaskMemory
from queue_agent.scheduler.slots import Slot
from queue_agent.telemetry.recorder import Recorder


@dataclass(slots=True, kw_only=True)
class JobContext:
    """A job on its way through the agent.

    Attributes:
        received_s: When the agent received the message, monotonic.
        traceparent: The trace that the task was submitted in.
        slot: Its place in the schedule.
        redrives: How often an operator has redriven it; results of an earlier redrive are void.
        has_webhook: Whether its notice goes to the courier, too.
        is_over: Whether the job has ended and its message is acked.
        previewed_s: When its latest preview was stored, seconds since 1970; None without one.
        pause_s: How long its slot stays taken once its message is done with, in seconds.
        outputs: What its stored pictures are, in order.
        timings_s: Seconds of each stage that has ended without an error.
    """

    id: str
    message: QueueMessage
    received_s: float
    task: Task
    traceparent: str | None
    deadlines: Deadlines
    slot: Slot
    memory: TaskMemory
    telemetry: Recorder
    redrives: int = 0
    has_webhook: bool = False
    is_over: bool = False
    previewed_s: float | None = None
    pause_s: float = 0
    outputs: tuple[StoredOutput, ...] = ()
    timings_s: dict[str, float] = field(default_factory=dict)

    @property
    def tenant(self) -> str | None:
        """The API key that submitted the task; None where no key did."""
        return self.task.metadata.tenant

    @property
    def names(self) -> ResultNames:
        """Keys of its results in the output bucket."""
        return ResultNames(prefix=self.task.metadata.prefix, task_id=self.task.metadata.id, job=self.id)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Name the job in every log record of the context, and trace the context as the message's span."""
        names = {"job": self.id, "task": self.task.metadata.id}
        span = self.telemetry.message(trace_header=self.message.trace_header, traceparent=self.traceparent)
        with log_fields(**names), span:
            self.telemetry.annotate(**names)
            if self.message.deliveries == 1:
                self.telemetry.queue_age(time.time() - self.message.sent_ms / 1000)
            yield

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Log, trace and time the context as a stage of the job."""
        start_s = time.monotonic()
        with log_fields(stage=name), self.telemetry.stage(name):
            yield
        self.timings_s[name] = round(time.monotonic() - start_s, 3)
