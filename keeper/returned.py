"""Messages that SQS has delivered as often as it may, and that no agent brought to an end."""

import logging
from collections.abc import Mapping
from typing import Any

from contract import strict_json
from contract.envelope import Delivery, NewerSchemaError, UnreadableDeliveryError, read_delivery
from contract.notice import JobError, notice_of_unreadable
from contract.queues import RETURNED
from jobs.record import JobRecord, JobState
from keeper.dead_queues import DeadQueues
from keeper.jobs import Jobs
from keeper.notices import Notices
from keeper.problems import UNDELIVERABLE

logger = logging.getLogger(__name__)


class ReturnedMessages:
    """Handles returned messages.

    The steps for each are in such an order that after a crash between any two the message, delivered again, leads on
    from there: end the job, tell of it, note that, keep the message; only then is it deleted.

    Args:
        jobs: The jobs.
        notices: Where the ends of jobs are told.
        dead_queues: Where messages are kept.
        queue_prefix: What stands before the runtime's name in the names of its queues.
    """

    def __init__(self, *, jobs: Jobs, notices: Notices, dead_queues: DeadQueues, queue_prefix: str = "") -> None:
        self._jobs = jobs
        self._notices = notices
        self._dead_queues = dead_queues
        self._queue_prefix = queue_prefix

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Handle Lambda's event of a queue; return which messages are to be delivered again."""
        failed = []
        for message in event["Records"]:
            try:
                result = self._settle(message)
            except Exception:
                logger.exception("message %s failed", message["messageId"])
                failed.append({"itemIdentifier": message["messageId"]})
            else:
                logger.info(strict_json.dumps({"event": "returned", "message_id": message["messageId"], **result}))
        return {"batchItemFailures": failed}

    def _settle(self, message: Mapping[str, Any]) -> dict[str, str]:
        body, queue_arn = message["body"], message["eventSourceARN"]
        runtime = queue_arn.rpartition(":")[2].removeprefix(self._queue_prefix).removesuffix(RETURNED.suffix)
        try:
            sent_ms = int(message["attributes"]["SentTimestamp"])
            delivery = read_delivery(body, message_id=message["messageId"], sent_ms=sent_ms)
        except NewerSchemaError as exc:
            self._dead_queues.keep(queue_arn, body, "schema_too_new", str(exc))
            return {"result": "kept", "code": "schema_too_new"}
        except UnreadableDeliveryError as exc:
            problem = JobError(code="unreadable_message", message=str(exc))
            if exc.task_id is not None:
                self._notices.publish(
                    notice_of_unreadable(
                        task_id=exc.task_id, context=exc.context, job=exc.job, runtime=runtime, problem=problem
                    )
                )
            self._dead_queues.keep(queue_arn, body, problem.code, problem.message)
            return {"result": "kept", "code": problem.code, "job": exc.job}
        record = self._end(delivery, runtime)
        if not record.state.is_final:
            # Should its agent vanish, the reaper ends it.
            return {"result": "dropped", "state": record.state, "job": record.job}
        if not record.notified:
            self._notices.tell(record)
        if record.state is not JobState.FAILED:
            return {"result": "dropped", "state": record.state, "job": record.job}
        # Whoever failed it, and perhaps crashed then: a failed job's message is kept for redrive.
        problem = record.error or UNDELIVERABLE
        self._dead_queues.keep(queue_arn, body, problem.code, problem.message)
        return {"result": "kept", "code": problem.code, "job": record.job}

    def _end(self, delivery: Delivery, runtime: str) -> JobRecord:
        """Fail a job unless an agent has it or it has ended; return it as it is then."""
        change = self._jobs.change(
            self._jobs.requests.enter_given_up(
                delivery.task, delivery.job, UNDELIVERABLE, runtime=runtime, now_s=self._jobs.now_s
            )
        )
        if change.record is None:
            raise AssertionError("a job that is not in the table is entered")
        return change.record
