"""``python -m local up``: the platform, until it is interrupted."""

import asyncio
import json

from rich.console import Console

from contract.config import Config, ModelsRuntime
from local.aws import OUTPUT_BUCKET
from local.console import PartLines, plain
from local.platform import Platform, PlatformSettings
from local.stack import Stack

_PROMPT = "A lighthouse at dusk, watercolour"


async def run_up(settings: PlatformSettings, console: Console) -> None:
    """Run the platform until this task is cancelled.

    Raises:
        AlreadyRunningError, PartFailedError: It does not come up.
    """
    say = plain(console)
    say("Starting the platform …")
    async with Platform(settings, console=PartLines(console), progress=say) as platform:
        say(_banner(settings.config, platform.stack))
        await asyncio.Event().wait()


def _banner(config: Config, stack: Stack) -> str:
    runtimes = ", ".join(f"{one.name} ({one.type})" for one in config.enabled_runtimes)
    return f"""
The platform runs. Ctrl-C ends it and all it holds.

  Endpoint  {stack.endpoint}
  API key   {stack.api_key}
  Runtimes  {runtimes}
  Logs      {stack.logs}

Ask for a picture:

  {_curl(config, stack)}

Its notice appears below with a link to the picture. Everything in the bucket:

  curl -s {stack.aws_endpoint}/{OUTPUT_BUCKET}

All samples at once, from another terminal: LOCAL=1 test/run.sh
"""


def _curl(config: Config, stack: Stack) -> str:
    """A request that works when pasted."""
    first = next((one for one in config.enabled_runtimes if one.type == "sdwebui"), config.enabled_runtimes[0])
    body = json.dumps({"task": _task(first)})
    return (
        f"curl -sS {stack.endpoint}v1alpha2 -H 'x-api-key: {stack.api_key}' "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def _task(runtime: ModelsRuntime) -> dict[str, object]:
    if runtime.type == "sdwebui":
        content: dict[str, object] = {"prompt": _PROMPT, "steps": 20, "width": 512, "height": 512}
        task_type = "text-to-image"
    else:
        # The smallest workflow there is: no checkpoint, so a real ComfyUI runs it as well.
        content = {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": 512, "height": 512, "batch_size": 1, "color": 3368601},
            },
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "first"}},
        }
        task_type = "pipeline"
    return {"metadata": {"id": "first-picture", "runtime": runtime.name, "tasktype": task_type}, "content": content}
