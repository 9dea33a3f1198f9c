"""``python -m local``: the platform on one machine. Composition root and only reader of the environment."""

import signal

if __name__ == "__main__":
    # Ctrl-C while the other modules load ends the program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

from configuration.config import Config, ConfigError
from configuration.file import load_config
from configuration.warnings import warnings
from deploy.errors import DeployError
from local.api_key import API_KEY_ID, KeyFileError, new_key, stored_key
from local.command_line import FRONTS, read_arguments
from local.console import PartLines, Terminal, plain
from local.demo import run_demo
from local.demo_flux import ModelsError, real_model, tiny_models
from local.layout import AlreadyRunningError, FluxServer, Layout, claimed
from local.parts import stand_in_url
from local.ports import LOOPBACK, PortError, claim, free_port, is_loopback
from local.processes import PartFailedError
from local.sandbox import sandboxed
from local.up import run_up

_INTERRUPTED = 130
_FILE_WIDTH = 240
_T = TypeVar("_T")


class UsageError(Exception):
    """The command line asks for something impossible."""


def main() -> int:
    """Run a command; return the exit code."""
    arguments = read_arguments()
    # Without a terminal there is no width limit.
    console = Terminal(width=None if sys.stdout.isatty() else _FILE_WIDTH)
    say = plain(Terminal(stderr=True))
    try:
        config, flux = _configuration(arguments, say)
        with claimed(arguments.state.resolve()):
            layout = _layout(arguments, config, flux)
            os.environ.clear()
            os.environ.update(layout.environment)
            if arguments.command == "up":
                lines = PartLines(console, everything=arguments.log == "debug")
                asyncio.run(_until_interrupted(run_up(layout, console, lines)))
                return 0
            succeeded = asyncio.run(
                _until_interrupted(run_demo(layout, arguments.out, console, platform=arguments.platform))
            )
            return _INTERRUPTED if succeeded is None else 0 if succeeded else 1
    except AlreadyRunningError as exc:
        say(f"{exc}\nOr run another one beside it: {arguments.beside}")
    except PortError as exc:
        say(f"{exc} Choose other ports, or 0 for any that is free: make up PORT=0 ARGS=--aws-port=0")
    except (ConfigError, KeyFileError, ModelsError, UsageError, DeployError, PartFailedError) as exc:
        say(str(exc))
    except OSError as exc:
        say(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
    return 1


def _configuration(arguments: argparse.Namespace, say: Callable[[str], None]) -> tuple[Config, FluxServer | None]:
    if arguments.command == "demo-flux":
        python = arguments.python.absolute()
        if arguments.model_folder is not None:
            return real_model(python, arguments.model_folder, arguments.profile)
        return tiny_models(python, arguments.state.resolve() / "models", say)
    config = load_config(arguments.config)
    for warning in warnings(config):
        say(f"{arguments.config}: {warning.pointer} {warning.detail}")
    return config, None


def _layout(arguments: argparse.Namespace, config: Config, flux: FluxServer | None) -> Layout:
    own = dict(arguments.runtime_url)
    if unknown := [name for name in own if config.catalog.find(name) is None]:
        known = ", ".join(config.catalog.names)
        raise UsageError(f"--runtime-url {unknown[0]}: there is no runtime {unknown[0]}; there are {known}.")
    state = arguments.state.resolve()
    if arguments.command == "up":
        key_file = Path(arguments.key_file or state / "api-key").expanduser()
        host, key = arguments.host, stored_key(key_file)
        port, aws_port = claim("The API", arguments.port, host), claim("AWS", arguments.aws_port)
    else:
        key_file = None
        host, key = LOOPBACK, new_key()
        port, aws_port = free_port(), free_port()
    fronts, keyless = _fronts(arguments, config) if arguments.command == "up" else ({}, "")
    stand_ins = {one.name: stand_in_url(one, free_port()) for one in config.enabled_runtimes if one.name not in own}
    is_kept = arguments.command == "up" and arguments.data is not None
    environment = sandboxed(os.environ, f"http://{LOOPBACK}:{aws_port}")
    if is_kept:
        environment["AWS_ACCESS_KEY_ID"] = secrets.token_hex()
    return Layout(
        config=config,
        state=state,
        host=host,
        gateway_port=port,
        aws_port=aws_port,
        server_urls=stand_ins | own,
        own_servers=frozenset(own),
        api_key=key,
        key_file=key_file,
        environment=environment,
        flux=flux,
        is_asgi=arguments.command == "up" and arguments.shell == "asgi",
        fronts=fronts,
        keyless=keyless,
        is_kept=is_kept,
    )


def _fronts(arguments: argparse.Namespace, config: Config) -> tuple[dict[str, int], str]:
    """The ports of dialects with a root of their own, and the key for which requests without one stand there."""
    ports = {dialect: getattr(arguments, f"{dialect}_port") for dialect in FRONTS}
    fronts = {
        dialect: claim(FRONTS[dialect], port, arguments.host) for dialect, port in ports.items() if port is not None
    }
    keyless = arguments.keyless
    if keyless is None:
        keyless = API_KEY_ID if is_loopback(arguments.host) else ""
    if keyless not in (known := ["", API_KEY_ID, *(one.name for one in config.apigw.keys[1:])]):
        raise UsageError(f"--keyless {keyless}: there is no such key; there are {', '.join(known[1:])}.")
    return fronts, keyless


async def _until_interrupted(work: Coroutine[None, None, _T]) -> _T | None:
    """Do the work; None if Ctrl-C, SIGTERM or a closed terminal ended it, after everything is cleaned up."""
    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    return None


if __name__ == "__main__":
    sys.exit(main())
