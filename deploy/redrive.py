"""``python -m deploy.redrive``: show what is in a runtime's dead queue, and retry the chosen jobs.

LOCAL=1 means the platform that runs on this machine; STACK_NAME=sdoneksStack means a deployed one, whose queues and
table are found by the stack's name. The account and region are those of the AWS environment.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3

from contract.deadlines import DEFAULT_DEADLINES
from contract.envelope import NewerSchemaError, TaskMessage, UnreadableMessageError, read_message
from contract.queues import CODE_ATTRIBUTE, REASON_ATTRIBUTE, Priority, redrive_target
from deploy.aws import region_of_environment
from deploy.console import aligned
from deploy.errors import DeployError
from deploy.scripts import exit_code_of
from deploy.stacks import Stack
from deploy.verify.target import enter_local_stack
from jobs import commands
from jobs.commands import CLOCK_MARGIN_S
from jobs.job import Job, JobState
from jobs.store import JobStore

_HIDE_S = 120
"""How long a message that was read stays hidden if this process is killed."""
_WAIT_S = 1
"""A long poll, however short, asks every server of a queue; a short one would overlook messages."""
_ENDED = {
    JobState.FAILED: "retried",
    JobState.SUCCEEDED: "dropped: the job has succeeded meanwhile",
    JobState.CANCELLED: "dropped: the job has been cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadMessage:
    """A message of a dead queue, why it is there, and its task; None if the task cannot be read."""

    receipt: str
    body: str
    sent_s: float
    code: str
    reason: str
    delivery: TaskMessage | None

    @property
    def job(self) -> str:
        """The job's id; a dash where no task can be read."""
        return "-" if self.delivery is None else self.delivery.job


class Redrive:
    """Redrives a runtime's messages: first in the table, then in the queue; then it deletes them.

    After a crash between any two steps a second run goes on: the message is still in the dead queue, and a job that
    is queued already is sent without being reset once more. At worst the queue then has it twice, and an agent
    drops the second. A job that is retried may wait ``start_s`` seconds for an agent.

    Raises:
        DeployError: The queue has no dead queue.
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: AWS does not answer; so do all calls.
    """

    def __init__(
        self, sqs: Any, queue_url: str, jobs: JobStore, *, start_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._sqs = sqs
        self._jobs = jobs
        self._start_s = start_s
        self._clock = clock
        self._sent: set[str] = set()
        self._urls = {Priority.NORMAL: queue_url}
        self._dead_url = queue_url
        # The dead queue is where its redrive leads, and that one's, to the end.
        while (name := redrive_target(self._attributes("RedrivePolicy"))) is not None:
            self._dead_url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        if self._dead_url == queue_url:
            raise DeployError(
                f"Queue {queue_url} has no redrive policy, so there is no dead queue to read.",
                "Name a runtime's own queue.",
            )

    @property
    def hidden(self) -> int:
        """About how many messages somebody else is reading now."""
        return int(self._attributes("ApproximateNumberOfMessagesNotVisible").popitem()[1])

    def read(self) -> Iterator[DeadMessage]:
        """Read all messages; they stay hidden until they are redriven or released."""
        while batch := self._sqs.receive_message(
            QueueUrl=self._dead_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=_WAIT_S,
            VisibilityTimeout=_HIDE_S,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=[CODE_ATTRIBUTE, REASON_ATTRIBUTE],
        ).get("Messages"):
            yield from map(_dead_message, batch)

    def run(self, message: DeadMessage, *, dry: bool = False) -> str:
        """Retry a message's job, or do what is right where that cannot be; a dry run only decides.

        Returns:
            What is done with the message (retried, sent, dropped or left), and why.
        """
        if message.delivery is None:
            decision = "left: it holds no task that can be read"
        elif dry:
            return self._decide(self._jobs.get(message.job))
        elif message.job in self._sent:
            decision = "dropped: the same job was sent just now"
        else:
            metadata = message.delivery.task.metadata
            redrive = commands.redrive(
                message.job,
                runtime=metadata.runtime,
                priority=metadata.priority,
                now_s=self._clock(),
                start_s=self._start_s,
            )
            change = self._jobs.run(redrive)
            decision = _ENDED[JobState.FAILED] if change.done else self._decide(change.job)
            if decision.startswith(("retried", "sent")):
                group = {"MessageGroupId": metadata.tenant} if metadata.tenant else {}
                url = self._url_of(metadata.priority)
                self._sqs.send_message(QueueUrl=url, MessageBody=message.body, **group)
                self._sent.add(message.job)
        if decision.startswith("left"):
            self.release(message)
        else:
            self._sqs.delete_message(QueueUrl=self._dead_url, ReceiptHandle=message.receipt)
        return decision

    def release(self, message: DeadMessage) -> None:
        """Leave a message in the queue, visible to others at once."""
        self._sqs.change_message_visibility(QueueUrl=self._dead_url, ReceiptHandle=message.receipt, VisibilityTimeout=0)

    def _url_of(self, priority: Priority) -> str:
        """The queue of a priority; the runtime's own one where it has no priorities."""
        if priority not in self._urls:
            own = self._urls[Priority.NORMAL]
            try:
                url = self._sqs.get_queue_url(QueueName=f"{own.rpartition('/')[2]}{priority.suffix}")["QueueUrl"]
            except self._sqs.exceptions.QueueDoesNotExist:
                url = own
            self._urls[priority] = url
        return self._urls[priority]

    def _attributes(self, name: str) -> dict[str, str]:
        return dict(
            self._sqs.get_queue_attributes(QueueUrl=self._dead_url, AttributeNames=[name]).get("Attributes", {})
        )

    def _decide(self, job: Job | None) -> str:
        now_s = self._clock()
        if job is None:
            return "sent: the table does not know the job"
        if job.state in _ENDED:
            return _ENDED[job.state]
        if job.state is JobState.RUNNING and job.lease_left_s(now_s - CLOCK_MARGIN_S) > 0:
            return "left: an agent has the job"
        if job.state is not JobState.RUNNING and job.due_s is not None and job.due_s <= now_s:
            return "left: the job is overdue and about to fail; try again in a minute"
        return "sent: the job waited for its message"


def _dead_message(message: dict[str, Any]) -> DeadMessage:
    attributes = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
    sent_ms = int(message["Attributes"]["SentTimestamp"])
    try:
        delivery = read_message(message["Body"], message_id=message["MessageId"], sent_ms=sent_ms)
    except (NewerSchemaError, UnreadableMessageError):
        delivery = None
    return DeadMessage(
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        sent_s=sent_ms / 1000,
        code=attributes.get(CODE_ATTRIBUTE, "-"),
        reason=attributes.get(REASON_ATTRIBUTE, "-"),
        delivery=delivery,
    )


def main(arguments: Sequence[str] | None = None, environ: MutableMapping[str, str] = os.environ) -> int:
    """Redrive; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.redrive",
        description="Retry failed jobs that a runtime's dead queue holds; without --job or --all only show them.",
        epilog="STACK_NAME=sdoneksStack in the environment means a deployed platform, LOCAL=1 the one of `make up`.",
    )
    add = parser.add_argument
    add("runtime", help="whose dead queue")
    add("--job", action="append", default=[], metavar="JOB", help="retry this job; repeatable")
    add("--all", action="store_true", help="retry all of them")
    add("--dry-run", action="store_true", help="only say what would be done")
    add("--queue-url", metavar="URL", help="the runtime's queue, where it is not named like the runtime")
    add("--table", metavar="NAME", help="the jobs table (JOBS_TABLE, or that of the stack)")
    wait = "how long a job may wait to be started again (%(default)g)"
    add("--start-seconds", type=float, default=DEFAULT_DEADLINES.start_s, metavar="S", help=wait)
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _retry(_open(options, environ), options))


def _open(options: argparse.Namespace, environ: MutableMapping[str, str]) -> Redrive:
    """Find the runtime's queue and the jobs table."""
    is_local = environ.get("LOCAL") == "1"
    # From here on the environment leads to the local platform, where that is meant.
    outputs = enter_local_stack(environ) if is_local else {}
    stack = None if is_local else environ.get("STACK_NAME")
    session = boto3.Session(region_name=region_of_environment())
    table = options.table or outputs.get("JobsTable") or environ.get("JOBS_TABLE")
    if not table and stack:
        table = Stack(session.client("cloudformation"), stack).outputs.get("JobsTable")
    if not table:
        raise DeployError(
            "Nothing says where the jobs are.", "Set STACK_NAME or JOBS_TABLE in the environment, or use --table NAME."
        )
    sqs = session.client("sqs")
    url, name = options.queue_url, f"{stack}-{options.runtime}" if stack else options.runtime
    try:
        url = url or sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist as exc:
        raise DeployError(
            f"There is no queue named {name}.", "Set STACK_NAME, or give the runtime's queue: --queue-url URL."
        ) from exc
    return Redrive(sqs, url, JobStore(session.client("dynamodb"), table), start_s=options.start_seconds)


def _retry(redrive: Redrive, options: argparse.Namespace) -> None:
    hidden = redrive.hidden
    messages = list(redrive.read())
    try:
        rows = []
        for one in messages:
            task_id = "-" if one.delivery is None else one.delivery.task.metadata.id
            hours = (time.time() - one.sent_s) / 3600
            rows.append((one.job, task_id, f"{hours:.1f} h", one.code, one.reason))
        if rows:
            print(aligned(("Job", "Task", "Age", "Code", "Reason"), rows))
        more = f", {hidden} more hidden" if hidden else ""
        print(f"{len(messages)} message{'' if len(messages) == 1 else 's'} in the dead queue{more}")
        for job in sorted(set(options.job) - {message.job for message in messages}):
            print(f"{job}  is not in the dead queue", file=sys.stderr)
        for message in [one for one in messages if options.all or one.job in options.job]:
            decision = redrive.run(message, dry=options.dry_run)
            print(f"{message.job}  {decision}{' (not done: --dry-run)' if options.dry_run else ''}")
            if not options.dry_run:
                messages.remove(message)
    finally:
        for message in messages:
            redrive.release(message)


if __name__ == "__main__":
    sys.exit(main())
