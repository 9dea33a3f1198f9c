"""The way of one message: read, prepare, run, store, notify, delete."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from contract import strict_json
from contract.notice import Notice, Problem
from contract.objects import TASKS_PREFIX, split_s3_url
from contract.task import Task
from queue_agent.errors import (
    AgentError,
    DeadlineExceeded,
    InternalFault,
    InvalidTask,
    PassingFault,
    PlatformFault,
    SchemaTooNew,
    TaskFault,
    UnreadableMessage,
)
from queue_agent.lease import kept_hidden
from queue_agent.line import Place
from queue_agent.log import log_fields
from queue_agent.message import Assignment, read_message
from queue_agent.ports import Inputs, ModelServer, Notices, ObjectStore, Queue, QueueMessage, Result, RunSignals
from queue_agent.results import Results
from queue_agent.watch import ModelServerWatch

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
_MAX_CONTENT_BYTES = 16 * 1024 * 1024
_FIRST_RETRY_S = 5
_LAST_RETRY_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Handles messages; several at once, each in its place in the line before the GPU.

    Attributes:
        queue: Where the messages come from.
        store: S3.
        notices: Where notices go.
        server: The model server.
        inputs: Fetches what tasks link to.
        results: Where pictures go.
        bucket: The output bucket.
        runtime_name: The runtime this agent belongs to.
        execution_timeout_s: How long a job may take in the model server.
        watch: Is told when the server gets a job and when it is rid of it.
    """

    queue: Queue
    store: ObjectStore
    notices: Notices
    server: ModelServer
    inputs: Inputs
    results: Results
    bucket: str
    runtime_name: str
    execution_timeout_s: float
    watch: ModelServerWatch

    async def handle(self, message: QueueMessage, place: Place) -> None:
        """Bring a message to its end: done and deleted, given back, or kept in the dead queue.

        Cancelling it interrupts the job and gives the message back at once.
        """
        try:
            await self._handle(message, place)
        finally:
            place.leave()

    async def _handle(self, message: QueueMessage, place: Place) -> None:
        try:
            assignment = read_message(message)
        except SchemaTooNew as exc:
            logger.warning("given back: %s", exc)
            await self.queue.release(message, self.queue.visibility_s)
            return
        except UnreadableMessage as exc:
            await self._bury_unreadable(message, exc)
            return
        with log_fields(job=assignment.job, task=assignment.task.metadata.id):
            try:
                async with kept_hidden(self.queue, message):
                    notice = await self._outcome(assignment, place)
                    await self.notices.publish(notice)
                await self.queue.delete(message)
                logger.info("done", extra={"status": notice.status, "attempt": assignment.attempt})
            except PassingFault as exc:
                await self._retry_or_bury(message, assignment, exc)
            except Exception as exc:
                logger.exception("the agent failed")
                fault = InternalFault(f"The agent failed ({type(exc).__name__}).")
                await self._retry_or_bury(message, assignment, fault)
            except asyncio.CancelledError:
                await asyncio.shield(self.queue.release(message))
                logger.info("given back")
                raise

    async def _outcome(self, assignment: Assignment, place: Place) -> Notice:
        """Do the job, unless a former delivery has done it."""
        if assignment.attempt > 1 and (notice := await self.results.find(assignment)):
            logger.info("found done; the notice is repeated")
            return notice
        timings_s: dict[str, float] = {}
        try:
            with _timed("prepare", timings_s):
                task = await self._with_content(assignment.task)
                prepared = await self.server.prepare(task, self.inputs)
            place.ready(self.server.work(prepared))
            result = await self._run(prepared, assignment, place, timings_s)
            return await self.results.store(assignment, result, timings_s)
        except TaskFault as exc:
            logger.info("failed: %s", exc.code)
            return await self.results.store_failure(assignment, exc)

    async def _run(self, prepared: object, assignment: Assignment, place: Place, timings_s: dict[str, float]) -> Result:
        """Run the job in its turn; one that is no longer waited for is stopped in the server too.

        The turn is kept until it is stopped: SD WebUI's interrupt hits whatever runs.
        """
        limit = asyncio.timeout(None)

        def started() -> None:
            place.started()
            limit.reschedule(asyncio.get_running_loop().time() + self.execution_timeout_s)

        with _timed("wait", timings_s):
            await place.take_turn()
        answered = False
        try:
            with _timed("run", timings_s):
                async with limit:
                    self.watch.job_started(assignment.job)
                    signals = RunSignals(started, place.freed)
                    result = await self.server.run(prepared, assignment.job, assignment.attempt, signals)
        except TaskFault:
            answered = True
            raise
        except (TimeoutError, asyncio.CancelledError) as exc:
            try:
                await asyncio.shield(self.server.interrupt(assignment.job, assignment.attempt))
            except AgentError:
                logger.warning("the job could not be interrupted in the model server")
            if isinstance(exc, TimeoutError):
                raise DeadlineExceeded(f"The job took longer than {self.execution_timeout_s:g} s.") from exc
            raise
        else:
            answered = True
            return result
        finally:
            self.watch.job_ended(assignment.job, answered=answered)
            place.end_turn()

    async def _with_content(self, task: Task) -> Task:
        """Read the content that was too large for the message; only the door's own objects are read."""
        if task.content_url is None:
            return task
        try:
            bucket, key = split_s3_url(task.content_url)
        except ValueError as exc:
            raise InvalidTask(f"content_url {exc}") from exc
        if bucket != self.bucket or not key.startswith(TASKS_PREFIX):
            raise InvalidTask(f"content_url must lie under s3://{self.bucket}/{TASKS_PREFIX}")
        data = await self.store.get(bucket, key, _MAX_CONTENT_BYTES)
        if data is None:
            raise PlatformFault("The task's content is not in the output bucket.")
        try:
            content = strict_json.loads(data)
        except ValueError as exc:
            raise InvalidTask(f"The task's content {exc}.") from exc
        if not isinstance(content, dict):
            raise InvalidTask("The task's content is no object.")
        return Task(metadata=task.metadata, content=content)

    async def _retry_or_bury(self, message: QueueMessage, assignment: Assignment, fault: PassingFault) -> None:
        attempt = assignment.attempt
        if attempt < MAX_ATTEMPTS:
            delay_s = min(_FIRST_RETRY_S * 2 ** (attempt - 1), _LAST_RETRY_S)
            logger.warning("given back: %s", fault, extra={"attempt": attempt, "retry_in_s": delay_s})
            await self.queue.release(message, delay_s)
            return
        if done := await self.results.find(assignment):
            # All but the notice was done before: a job has one ending, and no second one may be told.
            await self.notices.publish(done)
            await self.queue.delete(message)
            return
        logger.error("given up: %s", fault, extra={"attempt": attempt})
        await self.notices.publish(await self.results.store_failure(assignment, fault))
        await self.queue.bury(message, fault.code, str(fault))

    async def _bury_unreadable(self, message: QueueMessage, fault: UnreadableMessage) -> None:
        logger.error("unreadable message", extra={"message_id": message.message_id, "job": fault.job})
        if fault.task_id is not None:
            await self.notices.publish(
                Notice(
                    id=fault.task_id,
                    result=False,
                    image_url=[],
                    output_url=None,
                    context=fault.context,
                    job=fault.job,
                    runtime=self.runtime_name,
                    status="failed",
                    error=Problem(code=fault.code, message=str(fault)),
                )
            )
        await self.queue.bury(message, fault.code, str(fault))


@contextmanager
def _timed(stage: str, timings_s: dict[str, float]) -> Iterator[None]:
    start_s = time.monotonic()
    with log_fields(stage=stage):
        yield
    timings_s[stage] = round(time.monotonic() - start_s, 3)
