"""``python -m local up``: the platform, until it is interrupted."""

import asyncio
import json
import shlex
import socket
from typing import Any

from rich.console import Console

from deploy.verify.target import DEFAULT_STACK_FILE
from local.aws import OUTPUT_BUCKET
from local.console import plain
from local.output import LineSink
from local.parts import Layout
from local.platform import Platform
from local.ports import reachable
from local.stack import StateDirectory
from runtimes.spec import RuntimeSpec

_PREFERRED = "text-to-image"
_ASK = """
Ask for a picture:

  curl -sS {endpoint}v1alpha2 -H 'x-api-key: {api_key}' -H 'Content-Type: application/json' -d '{body}'

Its notice appears below with a link to the picture. Everything in the bucket:

  curl -s {bucket}
"""


async def run_up(layout: Layout, state: StateDirectory, console: Console, lines: LineSink) -> None:
    """Run the platform until this task is cancelled.

    Args:
        layout: How to run it.
        state: Where its logs and its stack.json go.
        console: Where sentences for people go.
        lines: Takes every line of every part.

    Raises:
        AlreadyRunningError, PartFailedError: It does not come up.
    """
    say = plain(console)
    say("Starting the platform …")
    async with Platform(layout, state, console=lines, progress=say):
        say(_banner(layout, state))
        await asyncio.Event().wait()


def _banner(layout: Layout, state: StateDirectory) -> str:
    runtimes = ", ".join(f"{one.name} ({one.type})" for one in layout.config.enabled_runtimes)
    named = "" if state.stack_file == DEFAULT_STACK_FILE else f"STACK_FILE={shlex.quote(str(state.stack_file))} "
    return f"""
The platform runs. Ctrl-C ends it; tasks and pictures, which are in memory, end with it. The API key stays.

  Endpoint  {layout.endpoint}{_elsewhere(layout)}
  API key   {layout.api_key}
  Runtimes  {runtimes}
  Logs      {state.logs}
{_first_request(layout)}
All samples at once, from another terminal: LOCAL=1 {named}test/run.sh
"""


def _elsewhere(layout: Layout) -> str:
    """Where other machines find the API, when it listens on all addresses."""
    if reachable(layout.host) == layout.host:
        return ""
    stage = layout.config.apigw.stage_name
    return f" (from elsewhere: http://{socket.gethostname()}:{layout.gateway_port}/{stage}/)"


def _first_request(layout: Layout) -> str:
    """A request that works when pasted; empty where every runtime needs a picture to begin with."""
    tasks = [(runtime, _first_task(runtime.runtime_type)) for runtime in layout.config.catalog]
    possible = [(runtime, task) for runtime, task in tasks if task["tasktype"] in runtime.task_types]
    for runtime, task in sorted(possible, key=lambda pair: pair[1]["tasktype"] != _PREFERRED):
        metadata = {"id": "first-picture", "runtime": runtime.name, "tasktype": task["tasktype"]}
        return _ASK.format(
            endpoint=layout.endpoint,
            api_key=layout.api_key,
            body=json.dumps({"task": {"metadata": metadata, "content": task["content"]}}),
            bucket=f"{layout.aws_endpoint}/{OUTPUT_BUCKET}",
        )
    return ""


def _first_task(spec: RuntimeSpec) -> Any:
    return json.loads((spec.folder / "samples" / "first.json").read_text(encoding="utf-8"))
