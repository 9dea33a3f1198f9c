"""``python -m local up``: the platform, until it is interrupted."""

import asyncio
import json
import shlex
import socket
from collections.abc import Mapping

from rich.console import Console

from deploy.verify.target import DEFAULT_STACK_FILE
from local.aws import OUTPUT_BUCKET
from local.console import plain
from local.output import LineSink
from local.parts import Layout
from local.platform import Platform
from local.ports import reachable
from local.stack import StateDirectory

_PROMPT = "A lighthouse at dusk, watercolour"
_FIRST_TASKS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "sdwebui": ("text-to-image", {"prompt": _PROMPT, "steps": 20, "width": 512, "height": 512}),
    "flux": ("text-to-image", {"prompt": _PROMPT}),
    # The smallest workflow there is: no checkpoint, so a real ComfyUI runs it as well.
    "comfyui": (
        "pipeline",
        {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": 512, "height": 512, "batch_size": 1, "color": 3368601},
            },
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "first"}},
        },
    ),
}
"""Task type and content of a first request, by runtime type; that of the first type is preferred."""
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
    for runtime_type, (task_type, content) in _FIRST_TASKS.items():
        for runtime in layout.config.catalog:
            if runtime.type == runtime_type and task_type in runtime.task_types:
                metadata = {"id": "first-picture", "runtime": runtime.name, "tasktype": task_type}
                return _ASK.format(
                    endpoint=layout.endpoint,
                    api_key=layout.api_key,
                    body=json.dumps({"task": {"metadata": metadata, "content": content}}),
                    bucket=f"{layout.aws_endpoint}/{OUTPUT_BUCKET}",
                )
    return ""
