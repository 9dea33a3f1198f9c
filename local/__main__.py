"""``python -m local``: the platform on one machine. Composition root and only reader of the environment."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from contract.config import Config, ConfigError
from contract.config_file import load_config
from deploy.verify.errors import VerifyError
from local.console import Terminal, plain
from local.demo import run_demo
from local.demo_flux import FluxDemo, ModelsError, real_model, tiny_models
from local.platform import ROOT, PlatformSettings
from local.ports import AWS_PORT, GATEWAY_PORT, PortBusyError, claim, free_port
from local.processes import PartFailedError
from local.sandbox import sandboxed
from local.stack import AlreadyRunningError
from local.up import run_up

_INTERRUPTED = 130
_FILE_WIDTH = 240
_T = TypeVar("_T")


class UsageError(Exception):
    """The command line asks for what cannot be."""


def main() -> int:
    """Run a command; return the exit code."""
    arguments = _parser().parse_args()
    # Without a terminal there is no width to keep to.
    console = Terminal(width=None if sys.stdout.isatty() else _FILE_WIDTH)
    say = plain(Terminal(stderr=True))
    try:
        settings = _settings(arguments, say)
        os.environ.clear()
        os.environ.update(settings.environment)
        if arguments.command == "up":
            asyncio.run(_until_interrupted(run_up(settings, console)))
            return 0
        succeeded = asyncio.run(_until_interrupted(run_demo(settings, arguments.out, console)))
    except PartFailedError as exc:
        lines = "".join(f"\n  {line}" for line in exc.output.last_lines)
        say(f"{exc}. Its log is {exc.output.path}; it ends with:{lines}")
    except (AlreadyRunningError, ConfigError, ModelsError, PortBusyError, UsageError, VerifyError) as exc:
        say(str(exc))
    except OSError as exc:
        say(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
    else:
        return _INTERRUPTED if succeeded is None else 0 if succeeded else 1
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="The whole platform on this machine.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=ROOT / "config.yaml", help="which runtimes run")
    common.add_argument(
        "--runtime-url",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a real model server in place of a runtime's stand-in",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[common], help="run until Ctrl-C")
    up.add_argument("--port", type=_port, default=GATEWAY_PORT, help="the API's port, 0 for any free one (%(default)s)")
    up.add_argument("--aws-port", type=_port, default=AWS_PORT, help="AWS's port, likewise (%(default)s)")
    up.add_argument("--state", type=Path, default=ROOT / ".local", help="directory for logs and stack.json")
    demo = commands.add_parser("demo", parents=[common], help="post the sample requests and save their pictures")
    demo.add_argument("--out", type=Path, default=Path("out"), help="directory for the pictures (%(default)s)")
    demo.add_argument("--state", type=Path, default=ROOT / ".local" / "demo", help="directory for logs")
    flux = commands.add_parser("demo-flux", help="the same, with the flux server itself in place of stand-ins")
    flux.add_argument("--python", type=Path, required=True, help="a Python that has PyTorch")
    flux.add_argument("--model-folder", type=Path, help="a model in the format of diffusers; default: tiny ones")
    flux.add_argument("--profile", default="flux-schnell", help="what that model is (%(default)s)")
    flux.add_argument("--out", type=Path, default=Path("out"), help="directory for the pictures (%(default)s)")
    flux.add_argument(
        "--state", type=Path, default=ROOT / ".local" / "demo-flux", help="directory for logs and tiny models"
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 2**16:
        raise ValueError(text)
    return port


def _settings(arguments: argparse.Namespace, say: Callable[[str], None]) -> PlatformSettings:
    flux = _flux_demo(arguments, say) if arguments.command == "demo-flux" else None
    config = _config(arguments, say) if flux is None else flux.config
    if arguments.command == "up":
        port = claim(arguments.port, purpose="the API", advice="Choose another: make up PORT=8001")
        advice = "Choose another: make up ARGS='--aws-port 5567'"
        aws_port = claim(arguments.aws_port, purpose="AWS", advice=advice)
    else:
        port, aws_port = free_port(), free_port()
    return PlatformSettings(
        config=config,
        gateway_port=port,
        aws_port=aws_port,
        runtime_urls={} if flux else _runtime_urls(arguments.runtime_url, config),
        state=arguments.state.resolve(),
        environment=sandboxed(os.environ, f"http://127.0.0.1:{aws_port}"),
        flux=None if flux is None else flux.server,
    )


def _config(arguments: argparse.Namespace, say: Callable[[str], None]) -> Config:
    config = load_config(arguments.config)
    for warning in config.warnings:
        say(f"{arguments.config}: {warning.field} {warning.problem}")
    return config


def _flux_demo(arguments: argparse.Namespace, say: Callable[[str], None]) -> FluxDemo:
    python = arguments.python.absolute()
    if arguments.model_folder is not None:
        return real_model(python, arguments.model_folder, arguments.profile)
    return tiny_models(python, arguments.state.resolve() / "models", say)


def _runtime_urls(pairs: list[str], config: Config) -> dict[str, str]:
    """Read NAME=URL.

    Raises:
        UsageError: A name is no runtime of the configuration, or a URL is none.
    """
    urls = {}
    for pair in pairs:
        name, _, url = pair.partition("=")
        if config.catalog.find(name) is None:
            raise UsageError(
                f"--runtime-url {pair}: there is no runtime {name}; there are {', '.join(config.catalog.names)}."
            )
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise UsageError(f"--runtime-url {pair}: give NAME=http://host:port")
        urls[name] = url
    return urls


async def _until_interrupted(work: Coroutine[None, None, _T]) -> _T | None:
    """Do the work; None when Ctrl-C, SIGTERM or a closed terminal ended it, after all is cleaned up."""
    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    return None


if __name__ == "__main__":
    sys.exit(main())
