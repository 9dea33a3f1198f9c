"""Measures how well and how fast a runtime edits pictures: ``python -m bench.editing make`` and ``… run``."""

import argparse
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, track

from bench.editing.cases import BenchError
from bench.editing.contents import template_names
from bench.editing.making import make_cases
from bench.editing.measuring import Plan, measure
from bench.editing.platform import find_target

_INTERRUPTED, _TERMINATED = 130, 143


def main() -> int:
    """Do what the command line says; 1 when it cannot be done. Cases that fail are figures and no failure."""
    # As an exception, so that the queue of notices is deleted on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    arguments = _parser().parse_args()
    console = Console(stderr=True)
    try:
        if arguments.command == "make":
            _make(arguments, console)
        else:
            _run(arguments, console)
    except BenchError as exc:
        console.print(str(exc), style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.editing", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make a folder of cases whose right answers are known")
    make.add_argument("folder", type=Path)
    make.add_argument("--count", type=_count, default=100, help="how many (%(default)s)")
    make.add_argument("--seed", type=int, default=1, help="another one gives other cases (%(default)s)")
    run = commands.add_parser("run", help="have all cases of a folder done, and write a report")
    run.add_argument("folder", type=Path)
    run.add_argument("--runtime", required=True, help="name of the runtime")
    run.add_argument("--out", type=Path, required=True, help="folder for report.html, results.json and pictures")
    templates = ", ".join(template_names())
    run.add_argument("--template", default="flux-edit", help=f"{templates}, or a file of your own (%(default)s)")
    run.add_argument("--concurrency", type=_count, default=4, help="tasks under way at once (%(default)s)")
    run.add_argument("--wait", type=float, default=900, help="seconds; a first GPU node takes minutes (%(default)s)")
    run.add_argument("--memory-url", action="append", default=[], help="a flux server's /health, or a DCGM exporter")
    run.add_argument("--stack-file", type=Path, default=Path(".local/stack.json"), help="of the local platform")
    run.add_argument("--endpoint", help="a deployed platform's API, instead of the local one")
    run.add_argument("--api-key-file", type=Path, help="with --endpoint: file of its key")
    run.add_argument("--topic-arn", help="with --endpoint: the topic of notices")
    run.add_argument("--bucket", help="with --endpoint: the output bucket, for templates that want links")
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def _make(arguments: argparse.Namespace, console: Console) -> None:
    cases = make_cases(arguments.folder, arguments.count, arguments.seed)
    for _ in track(cases, "Making cases", total=arguments.count, console=console):
        pass
    print(f"{arguments.count} cases are in {arguments.folder}.")


def _run(arguments: argparse.Namespace, console: Console) -> None:
    target = find_target(
        stack_file=arguments.stack_file,
        endpoint=arguments.endpoint,
        api_key_file=arguments.api_key_file,
        topic_arn=arguments.topic_arn,
        bucket=arguments.bucket,
    )
    plan = Plan(
        folder=arguments.folder,
        out=arguments.out,
        runtime=arguments.runtime,
        template=arguments.template,
        concurrency=arguments.concurrency,
        wait_s=arguments.wait,
        memory_urls=arguments.memory_url,
    )
    with Progress(console=console) as progress:
        report = measure(plan, target, progress)
    print(report)


if __name__ == "__main__":
    sys.exit(main())
