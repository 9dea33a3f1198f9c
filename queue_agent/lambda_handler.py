"""The agent as a function that Lambda calls with messages of the runtime's queues; for managed types alone.

Everything is made once, while the function loads, and stays warm. Lambda hides the messages for longer than the
function may run; so the first thing done with a message is to hide it for no longer than a lease lasts.
"""
# ruff: noqa: E402

import gc

# While modules load, the collector finds nothing to free, but takes a fifth of a cold start.
gc.disable()

import asyncio
import logging
import os
import socket
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Protocol

from contract.queues import TASKS
from queue_agent.aws.queue import QueueMessage, read_record
from queue_agent.beacon import AgentBeacon
from queue_agent.composition import open_agent
from queue_agent.drivers import Unsupervised
from queue_agent.errors import PlatformError
from queue_agent.log import configure_logging, log_fields
from queue_agent.settings import Settings
from queue_agent.shutdown import Jobs, finish
from queue_agent.telemetry.emf import EmbeddedMetricsRecorder
from queue_agent.telemetry.recorder import Recorder

logger = logging.getLogger(__name__)

_RESERVE_S = 30.0
"""What a function has left when its jobs must end: 10 s to store results that exist, and 5 s each to release a job in
the table and in its queue."""
_CLOSING_S = 5.0
_EXTEND_S = 3.0
"""Less than the margin by which a lease ends before its message is delivered again."""
_BEACON_S = 60.0
_PATIENCE_S = 20
"""A function is paid for while it waits; a job that a service works on by itself is looked for again later."""

_settings = Settings.from_environ({"PATIENCE_S": str(_PATIENCE_S), **os.environ})
configure_logging(_settings.log_level, _settings.runtime_name)
_urls = {
    url.rpartition("/")[2]: url
    for url in (_settings.queue_url, _settings.high_queue_url, _settings.low_queue_url)
    if url is not None
}
_namespace = _settings.metrics_namespace
# Nothing is ever closed: Lambda ends the process without a word.
_runner, _stack = asyncio.Runner(), AsyncExitStack()
_agent = _runner.run(
    _stack.enter_async_context(
        open_agent(
            _settings,
            EmbeddedMetricsRecorder(_namespace, _settings.runtime_name) if _namespace else Recorder(),
            owner=os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", socket.gethostname()).rpartition("/")[2],
            lease_s=TASKS.visibility_s,
        )
    )
)
_agent.scheduler.open(_agent.server.capacity)
# A function takes one message at a time; the runtime's concurrency is that of all functions together.
_beacon = AgentBeacon(_agent.jobs, server=Unsupervised(1), scheduler=_agent.scheduler, is_ready=lambda: True)
_beacon_due_s = 0.0
gc.freeze()
gc.enable()


class Invocation(Protocol):
    """What Lambda says of one call of the function."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the function."""


def handler(event: Mapping[str, Any], context: Invocation) -> dict[str, Any]:
    """Bring each message to its end; those that are not deleted are reported, so that Lambda leaves them alone.

    A job that would outlive the function is released for another attempt.
    """
    with log_fields(request=context.aws_request_id):
        ends_s = time.monotonic() + context.get_remaining_time_in_millis() / 1000
        messages = [read_record(record, _urls) for record in event["Records"]]
        _runner.run(_process_all(messages, ends_s))
        return {"batchItemFailures": [{"itemIdentifier": one.message_id} for one in messages if not one.is_deleted]}


async def _process_all(messages: list[QueueMessage], ends_s: float) -> None:
    await asyncio.gather(*map(_extend, messages))
    jobs: Jobs = {}
    for message in messages:
        slot = _agent.scheduler.join()
        jobs[asyncio.create_task(_agent.processor.process(message, slot), name="job")] = slot
    beside = {asyncio.create_task(_write_beacon(), name="beacon")}
    await finish(jobs, within_s=ends_s - _RESERVE_S - time.monotonic())
    for job in jobs:
        if not job.cancelled() and (failure := job.exception()) is not None:
            # The message is still in its queue, and is delivered again when its visibility ends.
            logger.error("a message could not be handled: %s", failure)
    # What is left, as a driver's removal of what it needs no longer, would freeze with the function.
    beside |= asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(beside, timeout=_CLOSING_S)


async def _extend(message: QueueMessage) -> None:
    try:
        async with asyncio.timeout(_EXTEND_S):
            await _agent.queue.extend(message)
    except (PlatformError, TimeoutError) as exc:
        logger.warning("a message may stay hidden for long: %s", str(exc) or "no answer in time")


async def _write_beacon() -> None:
    global _beacon_due_s  # noqa: PLW0603 (the function's, as all here)
    if time.monotonic() >= _beacon_due_s:
        _beacon_due_s = time.monotonic() + _BEACON_S
        await _beacon.write(ready=True)
