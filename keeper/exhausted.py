"""Exhausted deliveries: messages that SQS has delivered as often as it may, and that no agent completed."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from contract import strict_json
from contract.envelope import NewerSchemaError, UnreadableMessageError, read_message
from contract.notice import JobError, notice_of_unreadable
from contract.queues import RETURNED, dead_letter, redrive_target
from jobs import commands
from jobs.job import JobState
from jobs.notifier import JobNotifier
from jobs.store import JobStore

UNDELIVERABLE = JobError(
    code="undeliverable",
    message="The queue delivered the task as often as it may, and no agent brought it to an end.",
)

logger = logging.getLogger(__name__)


class NoDeadQueueError(Exception):
    """The queue of exhausted messages has no redrive policy, so its messages stay in it."""


class ExhaustedMessages:
    """Handles messages of the queues to which SQS moves exhausted ones.

    The steps are: end the job, notify, record that, copy the message to the dead queue, delete it. In this order a
    crash between any two is harmless, because the message is delivered again.

    All queue names start with ``queue_prefix``, followed by the runtime's name.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        notifier: JobNotifier,
        sqs: Any,
        queue_prefix: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._jobs = jobs
        self._notifier = notifier
        self._sqs = sqs
        self._queue_prefix = queue_prefix
        self._clock = clock
        self._dead_queue_urls: dict[str, str] = {}

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Handle Lambda's event of a queue; return which messages must be delivered again."""
        failed = []
        for record in event["Records"]:
            try:
                result = self._handle(record)
            except Exception:  # one bad message must not make SQS deliver the others of its batch again
                logger.exception("message %s failed", record["messageId"])
                failed.append({"itemIdentifier": record["messageId"]})
            else:
                logger.info(strict_json.dumps({"event": "returned", "message_id": record["messageId"], **result}))
        return {"batchItemFailures": failed}

    def _handle(self, record: Mapping[str, Any]) -> dict[str, str]:
        body, queue_arn = record["body"], record["eventSourceARN"]
        runtime = queue_arn.rpartition(":")[2].removeprefix(self._queue_prefix).removesuffix(RETURNED.suffix)
        try:
            sent_ms = int(record["attributes"]["SentTimestamp"])
            message = read_message(body, message_id=record["messageId"], sent_ms=sent_ms)
        except NewerSchemaError as exc:
            self._dead_letter(queue_arn, body, "schema_too_new", str(exc))
            return {"result": "kept", "code": "schema_too_new"}
        except UnreadableMessageError as exc:
            error = JobError(code="unreadable_message", message=str(exc))
            if exc.task_id is not None:
                notice = notice_of_unreadable(
                    task_id=exc.task_id, context=exc.context, job=exc.job, runtime=runtime, problem=error
                )
                self._notifier.publish(notice)
            self._dead_letter(queue_arn, body, error.code, error.message)
            return {"result": "kept", "code": error.code, "job": exc.job}
        now_s = self._clock()
        give_up = commands.enter_given_up(message.task, message.job, UNDELIVERABLE, runtime=runtime, now_s=now_s)
        job = self._jobs.run(give_up).job
        if job is None:
            raise AssertionError("a job that is not in the table is entered")
        if not job.state.is_final:
            # If its agent vanishes, the reaper ends it.
            return {"result": "dropped", "state": job.state, "job": job.id}
        if not job.notified:
            self._notifier.notify(job)
        if job.state is not JobState.FAILED:
            return {"result": "dropped", "state": job.state, "job": job.id}
        # A failed job's message is kept for a redrive, even if the part that failed the job crashed afterwards.
        error = job.error or UNDELIVERABLE
        self._dead_letter(queue_arn, body, error.code, error.message)
        return {"result": "kept", "code": error.code, "job": job.id}

    def _dead_letter(self, source_arn: str, body: str, code: str, reason: str) -> None:
        """Put a message into the dead queue, which its own queue's redrive policy names.

        Raises:
            NoDeadQueueError: There is none.
            botocore.exceptions.BotoCoreError, ClientError: SQS did not accept it.
        """
        if source_arn not in self._dead_queue_urls:
            self._dead_queue_urls[source_arn] = self._dead_queue_url(source_arn)
        self._sqs.send_message(QueueUrl=self._dead_queue_urls[source_arn], **dead_letter(body, code, reason))

    def _dead_queue_url(self, source_arn: str) -> str:
        url = self._sqs.get_queue_url(QueueName=source_arn.rpartition(":")[2])["QueueUrl"]
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        name = redrive_target(answer.get("Attributes", {}))
        if name is None:
            raise NoDeadQueueError(f"Queue {source_arn} has no redrive policy.")
        return str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"])
