"""``python -m local up``: the platform, until it is interrupted."""

import asyncio
import json
import shlex
import socket

from rich.console import Console

from deploy.verify.target import DEFAULT_STACK_FILE
from jobs.schema import RETENTION_S
from local.aws import OUTPUT_BUCKET
from local.command_line import FRONTS
from local.console import plain
from local.layout import Layout
from local.platform import running
from local.ports import is_loopback
from local.processes import LineSink

_DAY_S = 24 * 3600
_BUCKET = f"""\
Everything in the bucket:

  curl -s {{}}/{OUTPUT_BUCKET}
"""
_PREFERRED = "text-to-image"


async def run_up(layout: Layout, console: Console, lines: LineSink) -> None:
    """Run the platform until this task is cancelled; raises PartFailedError if it does not start."""
    say = plain(console)
    say("Starting the platform …")
    async with running(layout, console=lines, progress=say):
        say(banner(layout))
        await asyncio.Event().wait()


def banner(layout: Layout) -> str:
    """What `make up` prints once the platform runs: where it is, its key, and what to do with both."""
    elsewhere = f" (from elsewhere: {layout.endpoint_of(socket.gethostname())})"
    runtimes = ", ".join(f"{one.name} ({one.type})" for one in layout.config.enabled_runtimes)
    file = layout.stack_file
    named = "" if file == DEFAULT_STACK_FILE else f"STACK_FILE={shlex.quote(str(file))} "
    return f"""
The platform runs. {_what_stays(layout)}

  Endpoint  {layout.endpoint}{elsewhere if layout.host != layout.reachable_host else ""}
  API key   {f"in {layout.key_file}" if layout.is_kept else layout.api_key}
  Console   {layout.endpoint}console
{_fronts(layout)}  Runtimes  {runtimes}
  Logs      {layout.logs}

For the examples of the documentation, in another terminal:

  export SD_URL={layout.endpoint.rstrip("/")} SD_API_KEY={_pasted(layout)}
{first_request(layout)}
All samples at once, from another terminal: LOCAL=1 {named}test/run.sh
"""


def _pasted(layout: Layout) -> str:
    """The API key in a command; what a service prints goes into logs, so that its key is read from its file."""
    if layout.is_kept:
        return f'"$(cat {shlex.quote(str(layout.key_file))})"'
    return shlex.quote(layout.api_key)


def _fronts(layout: Layout) -> str:
    key = "takes the API key as a bearer token or as the password"
    if layout.keyless:
        key = "needs no key" + ("" if is_loopback(layout.host) else ": ANYBODY who reaches this machine can draw")
    return "".join(f"  {FRONTS[one]:<8}  {layout.front_url(one)}, for its clients; {key}\n" for one in layout.fronts)


def _what_stays(layout: Layout) -> str:
    if not layout.is_kept:
        return "Ctrl-C ends it; tasks and pictures, which are in memory, end with it. The API key stays."
    days = layout.config.output_bucket.expire_days
    pictures = "until you delete them" if days is None else f"for {days} days"
    return (
        f"Ctrl-C ends it. Everything stays in {layout.state}, whatever ends it, and goes on with the next start:\n"
        f"jobs for {RETENTION_S // _DAY_S} days, pictures {pictures}, webhooks, workflows, keys. "
        f"A backup while it runs: make backup DATA={shlex.quote(str(layout.state))} FILE=…"
    )


def first_request(layout: Layout) -> str:
    """Commands to paste that request a picture and list the bucket; "" if every runtime needs an input picture."""
    possible = []
    for runtime in layout.config.catalog:
        task_type, content = runtime.runtime_type.first_sample()
        if task_type in runtime.task_types:
            possible.append({"runtime": runtime.name, "type": task_type, "id": "first-picture", "content": content})
    if not possible:
        return ""
    body = min(possible, key=lambda one: one["type"] != _PREFERRED)
    headers = f"-H x-api-key:{_pasted(layout)} -H 'Content-Type: application/json'"
    return f"""
Ask for a picture, and wait for it; "images" in the answer has its link:

  curl -sS {layout.endpoint}v1/jobs {headers} -H 'Prefer: wait=25' -d '{json.dumps(body)}'

What the API can do: {layout.endpoint}v1/docs
{"" if layout.is_kept else _BUCKET.format(layout.aws_endpoint)}"""
