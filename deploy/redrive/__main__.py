"""``python -m deploy.redrive``: show what lies in a runtime's dead queue, and retry the chosen jobs.

LOCAL=1 means the platform that runs on this machine; STACK_NAME=sdoneksStack means a deployed one, whose queues and
table are found by the stack's name. The account and region are those of the AWS environment.
"""

import argparse
import os
import sys
import time
from collections.abc import MutableMapping, Sequence
from typing import Any

import boto3

from contract.deadlines import DEFAULT_DEADLINES
from deploy.console import aligned
from deploy.errors import DeployError
from deploy.redrive.dead_queue import DeadMessage, DeadQueue
from deploy.redrive.redrive import Redrive
from deploy.scripts import exit_code_of
from deploy.stacks import Stack
from deploy.verify.target import enter_local_stack


def main(arguments: Sequence[str] | None = None, environ: MutableMapping[str, str] = os.environ) -> int:
    """Redrive; return the exit code."""
    options = _parser().parse_args(arguments)
    return exit_code_of(lambda: _redrive(options, environ))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.redrive",
        description="Retry failed jobs that a runtime's dead queue holds; without --job or --all only show them.",
        epilog="STACK_NAME=sdoneksStack in the environment means a deployed platform, LOCAL=1 the one of `make up`.",
    )
    parser.add_argument("runtime", help="whose dead queue")
    parser.add_argument("--job", action="append", default=[], metavar="JOB", help="retry this job; repeatable")
    parser.add_argument("--all", action="store_true", help="retry all of them")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument(
        "--queue-url", metavar="URL", help="the runtime's queue, where it is not named like the runtime"
    )
    parser.add_argument("--table", metavar="NAME", help="the jobs table (JOBS_TABLE, or that of the stack)")
    parser.add_argument(
        "--start-seconds",
        type=float,
        default=DEFAULT_DEADLINES.start_s,
        metavar="S",
        help="how long a job may wait to be started again (%(default)g)",
    )
    return parser


def _redrive(options: argparse.Namespace, environ: MutableMapping[str, str]) -> None:
    is_local = environ.get("LOCAL") == "1"
    # From here on the environment leads to the local platform, where that is meant.
    outputs = enter_local_stack(environ) if is_local else {}
    stack = None if is_local else environ.get("STACK_NAME")
    table = options.table or outputs.get("JobsTable") or environ.get("JOBS_TABLE")
    if not table and stack:
        table = Stack(boto3.client("cloudformation"), stack).outputs.get("JobsTable")
    if not table:
        raise DeployError(
            "Nothing says where the jobs are.", "Set STACK_NAME or JOBS_TABLE in the environment, or use --table NAME."
        )
    sqs = boto3.client("sqs")
    url = options.queue_url or _queue_url(sqs, f"{stack}-{options.runtime}" if stack else options.runtime)
    queue = DeadQueue.of(sqs, url)
    redrive = Redrive(
        queue, dynamodb=boto3.client("dynamodb"), table=table, start_s=options.start_seconds, clock=time.time
    )
    _retry(queue, redrive, options)


def _queue_url(sqs: Any, name: str) -> str:
    try:
        return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except sqs.exceptions.QueueDoesNotExist as exc:
        raise DeployError(
            f"There is no queue named {name}.", "Set STACK_NAME, or give the runtime's queue: --queue-url URL."
        ) from exc


def _retry(queue: DeadQueue, redrive: Redrive, options: argparse.Namespace) -> None:
    hidden = queue.hidden
    messages = list(queue.read())
    try:
        _show(messages, hidden)
        for job in sorted(set(options.job) - {message.job for message in messages}):
            print(f"{job}  is not in the dead queue", file=sys.stderr)
        for message in [one for one in messages if options.all or one.job in options.job]:
            if options.dry_run:
                print(f"{message.job}  {redrive.plan(message).value} (not done: --dry-run)")
            else:
                print(f"{message.job}  {redrive.run(message).value}")
                messages.remove(message)
    finally:
        for message in messages:
            queue.release(message)


def _show(messages: Sequence[DeadMessage], hidden: int) -> None:
    if messages:
        print(aligned(("Job", "Task", "Age", "Code", "Reason"), [_row(message) for message in messages]))
    more = f", {hidden} more hidden" if hidden else ""
    print(f"{len(messages)} message{'' if len(messages) == 1 else 's'} in the dead queue{more}")


def _row(message: DeadMessage) -> tuple[str, ...]:
    task_id = "-" if message.delivery is None else message.delivery.task.metadata.id
    hours = (time.time() - message.sent_s) / 3600
    return (message.job, task_id, f"{hours:.1f} h", message.code or "-", message.reason or "-")


if __name__ == "__main__":
    sys.exit(main())
