"""The arguments of ``sd``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sd_on_eks.cli import commands, listener


def parser() -> argparse.ArgumentParser:
    """The parser; what it parses has a ``command`` to be called."""
    top = argparse.ArgumentParser(prog="sd", description="Make pictures with sd-on-eks.")
    subcommands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Any, help: str, among: Any = subcommands) -> argparse.ArgumentParser:  # noqa: A002
        new: argparse.ArgumentParser = among.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        new.add_argument("--json", action="store_true", help="write JSON, a line for each result")
        new.set_defaults(command=command)
        return new

    def follow(command: argparse.ArgumentParser) -> None:
        command.add_argument("--set", action="append", default=[], type=_change, dest="changes", metavar="KEY=VALUE",
                             help="a part of the content, as seed=7, or 3.inputs.seed=7 in a workflow")  # fmt: skip
        command.add_argument("--wait", action="store_true", help="follow the job until it has ended")
        command.add_argument("--out", metavar="FOLDER", help="likewise, and save its pictures there")

    submit = add("submit", commands.submit, "submit a job")
    submit.add_argument("file", nargs="?", help="a request, a content or a ComfyUI workflow in JSON; - for stdin")
    submit.add_argument("--runtime", help="which runtime makes it; see sd runtimes")
    submit.add_argument("--type", help="the type of the task (text-to-image; for a workflow, pipeline)")
    submit.add_argument("--prompt", help="what to draw")
    submit.add_argument("--id", help="your own name for the task")
    submit.add_argument("--priority", help="high or low, where the runtime has priorities")
    submit.add_argument("--preview", action="store_true", help="ask for pictures of the unfinished result")
    follow(submit)

    listing = add("ls", commands.list_jobs, "list jobs, the newest first")
    listing.add_argument("--state", help="with commas between several")
    listing.add_argument("--runtime")
    listing.add_argument("--id", help="your own name of the task")
    listing.add_argument("-n", type=int, default=20, help="how many at the most (%(default)s)")

    watching = add("watch", commands.watch, "follow a job, or all that are open, until they have ended")
    watching.add_argument("job", nargs="?")

    for name, command, text in (
        ("show", commands.show, "show a job"),
        ("why", commands.why, "say why a job has failed, or what it waits for"),
        ("open", commands.open_pictures, "show a job's pictures in the viewer"),
        ("cancel", commands.cancel, "cancel a job"),
    ):
        add(name, command, text).add_argument("job")

    retry = add("retry", commands.retry, "repeat a job that has ended, as a new one")
    retry.add_argument("job")
    follow(retry)

    copy = add("cp", commands.copy, "save the pictures of jobs in a folder")
    copy.add_argument("jobs", nargs="+", metavar="job")
    copy.add_argument("folder")

    add("runtimes", commands.runtimes, "list the runtimes, and how busy they are")

    key = add("key", commands.key, "say where the API is, and where the key for it comes from")
    key.add_argument("--save", action="store_true", help="save both in ~/.config, for you alone to read")
    key.add_argument("--url", help="the URL to save; the key is then asked for, or read from stdin")

    webhook = subcommands.add_parser("webhook", help="webhooks").add_subparsers(required=True, metavar="COMMAND")
    listen = add("listen", listener.listen, "print webhooks as they come, and whether they are signed", webhook)
    listen.add_argument("--port", type=int, default=8787, help="0 for any that is free (%(default)s)")
    listen.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    listen.add_argument("--secret", help="whsec_…; default: asked of the API")
    return top


def _change(text: str) -> dict[str, Any]:
    """Read ``a.b=VALUE`` as a merge patch; a value that is no JSON is a text."""
    path, is_change, value = text.partition("=")
    if not (is_change and path):
        raise argparse.ArgumentTypeError(f"{text!r} is no change; write KEY=VALUE")
    try:
        change: Any = json.loads(value)
    except ValueError:
        change = value
    for name in reversed(path.split(".")):
        change = {name: change}
    patch: dict[str, Any] = change
    return patch
