"""The courier: takes a message from its queue, posts the webhook, and schedules the next attempt.

A notice becomes a delivery. The steps of a delivery are: post, put the next attempt into the queue, log. A crash
between any two repeats the attempt, because SQS delivers the message again: receivers get every event at least once,
and recognize a repeated one by its id. Of two messages with the same attempt the log lets only one through, so
repetitions do not multiply.
"""

import logging
import time
from collections.abc import Callable

from contract import strict_json
from contract.signatures import webhook_headers
from contract.webhooks import JobEvent
from courier.body import webhook_body
from courier.delivery import Delivery, read_message
from courier.formats.table import FORMATS
from courier.log import DeliveryLog, LoggedDelivery, read_log, write_log
from courier.queue import DeliveryQueue
from courier.schedule import pause_before, read_retry_after
from courier.secrets import WebhookSecrets
from courier.sender import ReceiverAnswer, WebhookSender
from jobs.job import Job, JobState
from jobs.links import ResultLinks
from jobs.store import JobStore

MAX_PROGRESS_AGE_S = 30.0
"""Progress older than this is not sent."""
PROGRESS_PAUSE_S = 60.0
"""A receiver that did not accept progress gets no more of it for this long."""

logger = logging.getLogger(__name__)


class Courier:
    """Attempts deliveries. ``bucket`` is the output bucket, ``root`` the root secret, which signs links to it."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        secrets: WebhookSecrets,
        queue: DeliveryQueue,
        sender: WebhookSender,
        bucket: str,
        root: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._jobs = jobs
        self._secrets = secrets
        self._queue = queue
        self._sender = sender
        self._bucket = bucket
        self._root = root
        self._clock = clock

    def handle(self, body: str) -> None:
        """Handle a message of the queue. If this returns, the message can be deleted.

        Raises:
            ValueError: The message is neither a delivery nor a notice.
            QueueError, botocore.exceptions.BotoCoreError, ClientError: The message must be delivered again.
        """
        message = read_message(body)
        if isinstance(message, Delivery):
            self._deliver(message)
        elif message is not None and (job := self._jobs.get(message)) and _wants(job, "completed"):
            # Through the queue once more: there each tenant has a message group of its own.
            self._queue.put([Delivery.of_end(job)], self._clock())

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.due_s > self._clock():
            self._queue.put([delivery], self._clock())
            return
        job = self._jobs.get(delivery.job)
        if job is None or job.webhook is None or not _wants(job, delivery.event):
            return
        log = self._jobs.run(read_log(job.id, self._clock()))
        if reason := _reason_to_drop(delivery, job, log, self._clock()):
            _say(delivery, f"dropped: {reason}")
            return
        self._attempt(delivery, job, job.webhook.url)

    def _attempt(self, delivery: Delivery, job: Job, url: str) -> None:
        sent_s = self._clock()
        body = self._body(delivery, job, sent_s)
        secrets = self._secrets.signing(job.tenant, sent_s)
        headers = webhook_headers(secrets, webhook_id=delivery.id, sent_s=sent_s, body=body)
        answer = self._sender.post(url, headers, body)
        row = self._follow_up(delivery, answer, sent_s)
        if delivery.is_retried or row.state != "delivered":
            self._jobs.run(write_log(row, switch_off=answer.is_gone))
        _say(delivery, row.state, attempt=delivery.attempt, status=answer.status, problem=answer.problem)

    def _body(self, delivery: Delivery, job: Job, now_s: float) -> bytes:
        if (form := job.webhook_form) is None:
            return webhook_body(delivery, job, self._bucket)
        links = ResultLinks(base_url=form.base_url, root=self._root, now_s=now_s)
        return strict_json.dumps(FORMATS[form.dialect](job, links)).encode()

    def _follow_up(self, delivery: Delivery, answer: ReceiverAnswer, sent_s: float) -> LoggedDelivery:
        """Schedule the next attempt, if there is one; return this attempt for the log."""
        now_s = self._clock()
        row = LoggedDelivery(
            delivery=delivery,
            state="delivered" if answer.problem is None else "failed",
            status=answer.status,
            problem=answer.problem,
            sent_s=sent_s,
            next_s=None,
        )
        if answer.problem is None or answer.is_gone:
            return row
        if not delivery.is_retried:
            return row.model_copy(update={"next_s": now_s + PROGRESS_PAUSE_S})
        pause_s = pause_before(delivery.attempt + 1, read_retry_after(answer.retry_after, now_s))
        if pause_s is None:
            self._queue.dead_letter(delivery, answer.problem)
            return row
        self._queue.put([delivery.again(now_s + pause_s)], now_s)
        return row.model_copy(update={"state": "waiting", "next_s": now_s + pause_s})


def _wants(job: Job, event: JobEvent) -> bool:
    return job.webhook is not None and event in job.webhook.events


def _reason_to_drop(delivery: Delivery, job: Job, log: DeliveryLog, now_s: float) -> str | None:
    """Why a delivery must not be attempted now; None if it may."""
    row = log.rows.get(delivery.event)
    sent = (row.delivery.version, row.delivery.attempt) if row else (0, 0)
    pause_s = row.next_s - now_s if row and row.next_s else 0
    is_current = job.state.is_final and Delivery.of_end(job).at_s == delivery.at_s
    is_late = job.state is not JobState.RUNNING or now_s - delivery.at_s > MAX_PROGRESS_AGE_S
    reasons = {
        "the receiver has answered 410": log.is_off,
        "the attempt was made before, or a later event of its kind sent": (delivery.version, delivery.attempt) <= sent,
        "the job was started again": delivery.event == "completed" and not is_current,
        "the progress is old": delivery.event == "progress" and is_late,
        "the receiver did not accept progress a short time ago": delivery.event == "progress" and pause_s > 0,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _say(delivery: Delivery, result: str, **more: object) -> None:
    """Log the result of an attempt, without URL and content, which are private."""
    line = {"event": "webhook", "id": delivery.id, "result": result, **more}
    level = logging.WARNING if result == "failed" else logging.INFO
    logger.log(level, strict_json.dumps(line))
