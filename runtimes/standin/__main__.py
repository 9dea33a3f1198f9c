"""Runs a stand-in: python -m runtimes.standin --type sdwebui|comfyui|flux|bedrock.

For flux, it is the flux server itself with a painting pipeline; its settings and faults are environment variables.
"""

import argparse
import asyncio
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from runtimes.standin.control import DEFAULT_MODELS, Control
from runtimes.standin.faults import Faults
from runtimes.standin.server import Server

_FOLDERS = {path.parent.name: path for path in Path(__file__).parents[1].glob("*/standin")}
"""The stand-ins by type. One with a ``__main__`` is a separate program."""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's settings; every fault is an option."""
    parser = argparse.ArgumentParser(prog="python -m runtimes.standin", description=__doc__)
    parser.add_argument("--type", required=True, choices=sorted(_FOLDERS), help="which server to stand in for")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on, 0 for a free one (default: 8080)")
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="a checkpoint it has; repeatable, the first is loaded"
    )
    for name, field in Faults.model_fields.items():
        how: dict[str, Any] = {"type": type(field.default)}
        if field.annotation is bool:
            how = {"action": "store_true"}
        elif isinstance(field.default, list):
            how = {"nargs": "*"}
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, dest=name, help=field.description, default=field.default, **how)
    return parser.parse_args(argv)


async def serve(settings: argparse.Namespace) -> None:
    """Serve until a signal comes; SD WebUI then finishes its jobs, ComfyUI stops at once.

    A second signal stops both at once. STANDIN_PAINTER names another painter, as MODULE:CLASS.
    """
    module, _, name = os.environ.get("STANDIN_PAINTER", "runtimes.standin.painter:Painter").partition(":")
    painter = getattr(importlib.import_module(module), name)()
    faults = Faults.model_validate({name: getattr(settings, name) for name in Faults.model_fields})
    models = tuple(model for model in settings.model or DEFAULT_MODELS if model)
    server = Server(settings.type, Control(models, painter, faults), host=settings.host, port=settings.port)
    stopped = asyncio.Event()

    def stop(number: int) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    await server.start()
    print(f"stand-in for {settings.type} at {server.url}", flush=True)  # noqa: T201 - the operator's only sign of life
    await stopped.wait()
    await server.stop()


def main() -> None:
    """Serve until a signal comes; a stand-in that is a separate program replaces this process."""
    settings = parse()
    if not (_FOLDERS[settings.type] / "__main__.py").is_file():
        asyncio.run(serve(settings))
        return
    environment = {**os.environ, "HOST": settings.host, "PORT": str(settings.port)}
    command = [sys.executable, "-m", f"runtimes.{settings.type}.standin"]
    os.execve(sys.executable, command, environment)  # noqa: S606 - nothing from outside


if __name__ == "__main__":
    main()
