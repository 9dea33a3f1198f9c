"""The arguments of ``sd``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sd_on_eks.cli import commands, listener


def parser() -> argparse.ArgumentParser:
    """Build the parser. Its result has the function to call as ``command``."""
    top = argparse.ArgumentParser(prog="sd", description="Make pictures with sd-on-eks.")
    subcommands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_submit(subcommands)
    _add_jobs(subcommands)
    _add_platform(subcommands)
    return top


def _add_submit(subcommands: Any) -> None:
    submit = _add(subcommands, "submit", commands.submit, "submit a job")
    submit.add_argument(
        "file", nargs="?", help="JSON file with a request, its content or a ComfyUI workflow; - for stdin"
    )
    submit.add_argument("--runtime", help="name of a runtime; see sd runtimes")
    submit.add_argument("--type", help="task type (default: text-to-image; for a workflow, pipeline)")
    submit.add_argument("--prompt", help="what to draw")
    submit.add_argument("--id", help="your own name for the task")
    submit.add_argument("--priority", help="high or low, if the runtime has priorities")
    submit.add_argument("--preview", action="store_true", help="keep previews of the unfinished picture")
    _follow(submit)


def _add_jobs(subcommands: Any) -> None:
    listing = _add(subcommands, "ls", commands.list_jobs, "list jobs, newest first")
    listing.add_argument("--state", help="one or more states, separated by commas")
    listing.add_argument("--runtime", help="name of a runtime")
    listing.add_argument("--id", help="your own name for the task")
    listing.add_argument("-n", type=int, default=20, help="maximum number of jobs (default: %(default)s)")

    watching = _add(subcommands, "watch", commands.watch, "follow a job, or all open jobs, until they end")
    watching.add_argument("job", nargs="?")

    for name, command, text in (
        ("show", commands.show, "show a job"),
        ("why", commands.why, "say why a job failed, or what it is waiting for"),
        ("open", commands.open_pictures, "show a job's pictures in an image viewer"),
        ("cancel", commands.cancel, "cancel a job"),
    ):
        _add(subcommands, name, command, text).add_argument("job")

    retry = _add(subcommands, "retry", commands.retry, "repeat a job that has ended")
    retry.add_argument("job")
    _follow(retry)

    copy = _add(subcommands, "cp", commands.copy, "save jobs' pictures in a folder")
    copy.add_argument("jobs", nargs="+", metavar="job")
    copy.add_argument("folder")


def _add_platform(subcommands: Any) -> None:
    _add(subcommands, "runtimes", commands.runtimes, "list the runtimes, and how busy they are")

    key = _add(subcommands, "key", commands.key, "show the API's URL and where its key comes from")
    key.add_argument("--save", action="store_true", help="save both in ~/.config, in a file that only you can read")
    key.add_argument("--url", help="URL to save; sd then asks for the key, or reads it from stdin")

    subcommands.add_parser("plan", help="say what a load would cost and how long its jobs would wait, in a checkout")

    webhook = subcommands.add_parser("webhook", help="receive webhooks").add_subparsers(
        required=True, metavar="COMMAND"
    )
    listen = _add(
        webhook, "listen", listener.listen, "print webhooks as they arrive; reject those not signed with the secret"
    )
    listen.add_argument("--port", type=int, default=8787, help="0 for any free port (default: %(default)s)")
    listen.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    listen.add_argument("--secret", help="webhook secret, whsec_… (default: get it from the API)")


def _add(among: Any, name: str, command: Any, help: str) -> argparse.ArgumentParser:  # noqa: A002
    new: argparse.ArgumentParser = among.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
    new.add_argument("--json", action="store_true", help="write JSON, one line per result")
    new.set_defaults(command=command)
    return new


def _follow(command: argparse.ArgumentParser) -> None:
    command.add_argument("--set", action="append", default=[], type=_change, dest="changes", metavar="KEY=VALUE",
                         help="change the content, as in seed=7, or 3.inputs.seed=7 for a workflow")  # fmt: skip
    command.add_argument("--wait", action="store_true", help="follow the job until it ends")
    command.add_argument("--out", metavar="FOLDER", help="follow the job, then save its pictures there")


def _change(text: str) -> dict[str, Any]:
    """Read ``a.b=VALUE`` as a merge patch; a value that is not JSON is a string."""
    path, is_change, value = text.partition("=")
    if not (is_change and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not a change; write KEY=VALUE")
    try:
        change: Any = json.loads(value)
    except ValueError:
        change = value
    for name in reversed(path.split(".")):
        change = {name: change}
    patch: dict[str, Any] = change
    return patch
