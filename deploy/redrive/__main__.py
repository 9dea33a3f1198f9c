"""``python -m deploy.redrive``: show what lies in a runtime's dead queue, and retry the chosen jobs.

LOCAL=1 means the platform that runs on this machine; STACK_NAME=sdoneksStack means a deployed one, whose queues and
table are found by the stack's name. The account and region are those of the AWS environment.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from contract.deadlines import DEFAULT_DEADLINES
from deploy.redrive.errors import RedriveError
from deploy.redrive.queues import DeadMessage, Queues
from deploy.redrive.redrive import Redrive
from deploy.verify.errors import VerifyError
from deploy.verify.target import enter_local_stack

_HEADINGS = ("Job", "Task", "Age", "Code", "Reason")


def main(arguments: Sequence[str] | None = None, environ: MutableMapping[str, str] = os.environ) -> int:
    """Redrive; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        table = _find_table(options.table, environ)
        sqs = boto3.client("sqs")
        queues = Queues.follow(sqs, options.queue_url or _find_queue(sqs, _queue_name(options.runtime, environ)))
        redrive = Redrive(
            queues,
            dynamodb=boto3.client("dynamodb"),
            table=table,
            start_s=options.start_seconds,
            clock=time.time,
        )
        return _run(queues, redrive, options)
    except (RedriveError, VerifyError, BotoCoreError, ClientError) as exc:
        print(exc, file=sys.stderr)
        return 1


def _find_table(named: str | None, environ: MutableMapping[str, str]) -> str:
    """Find the jobs table; where it is the local platform's, from here on the environment leads there.

    Raises:
        RedriveError: Nothing says which it is.
        VerifyError: No local platform runs.
    """
    stack = enter_local_stack(environ) if environ.get("LOCAL") == "1" else {}
    table = named or stack.get("JobsTable") or environ.get("JOBS_TABLE") or _deployed_table(environ)
    if not table:
        raise RedriveError("Say where the jobs are: STACK_NAME or JOBS_TABLE in the environment, or --table NAME.")
    return str(table)


def _deployed_table(environ: Mapping[str, str]) -> str | None:
    """The jobs table of the stack that STACK_NAME names."""
    if not environ.get("STACK_NAME"):
        return None
    [stack] = boto3.client("cloudformation").describe_stacks(StackName=environ["STACK_NAME"])["Stacks"]
    outputs = {output["OutputKey"]: str(output["OutputValue"]) for output in stack.get("Outputs", [])}
    return outputs.get("JobsTable")


def _queue_name(runtime: str, environ: Mapping[str, str]) -> str:
    """A deployed runtime's queue is named after its stack too."""
    stack = environ.get("STACK_NAME") if environ.get("LOCAL") != "1" else None
    return f"{stack}-{runtime}" if stack else runtime


def _find_queue(sqs: Any, name: str) -> str:
    try:
        return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except sqs.exceptions.QueueDoesNotExist as exc:
        advice = "Set STACK_NAME, or give the runtime's queue: --queue-url URL."
        raise RedriveError(f"There is no queue named {name}. {advice}") from exc


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


def _run(queues: Queues, redrive: Redrive, options: argparse.Namespace) -> int:
    hidden = queues.hidden
    messages = list(queues.read_dead())
    try:
        _show(messages, hidden)
        chosen = [message for message in messages if options.all or _job(message) in options.job]
        for job in sorted(set(options.job) - {_job(message) for message in messages}):
            print(f"{job}  is not in the dead queue", file=sys.stderr)
        for message in chosen:
            verdict = redrive.foresee(message) if options.dry_run else redrive.drive(message)
            if not options.dry_run:
                messages.remove(message)
            print(f"{_job(message)}  {verdict.why}{' (not done: --dry-run)' if options.dry_run else ''}")
    finally:
        for message in messages:
            queues.release(message)
    return 0


def _job(message: DeadMessage) -> str:
    return "-" if message.delivery is None else message.delivery.job


def _show(messages: Sequence[DeadMessage], hidden: int) -> None:
    rows = [_HEADINGS, *map(_row, messages)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if messages else ():
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    count = len(messages)
    print(
        f"{count} message{'' if count == 1 else 's'} in the dead queue" + (f", {hidden} more hidden" if hidden else "")
    )


def _row(message: DeadMessage) -> tuple[str, ...]:
    task_id = "-" if message.delivery is None else message.delivery.task.metadata.id
    hours = (time.time() - message.sent_s) / 3600
    return (_job(message), task_id, f"{hours:.1f} h", message.code or "-", message.reason or "-")


if __name__ == "__main__":
    sys.exit(main())
