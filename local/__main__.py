"""``python -m local``: the platform on one machine. Composition root and only reader of the environment."""

import signal

if __name__ == "__main__":
    # Ctrl-C while the rest is loaded ends the program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from configuration.config import Config, ConfigError
from configuration.file import load_config
from configuration.warnings import warnings
from deploy.errors import DeployError
from local.api_key import KeyFileError, new_key, stored_key
from local.command_line import beside, on_other_ports, read_arguments, same_platform
from local.console import PartLines, Terminal, plain
from local.demo import run_demo
from local.demo_flux import FluxDemo, ModelsError, real_model, tiny_models
from local.parts import Layout, stand_in_url
from local.ports import LOOPBACK, HostError, PortsError, Wanted, claim, free_port
from local.processes import PartFailedError
from local.sandbox import sandboxed
from local.stack import AlreadyRunningError, StateDirectory
from local.up import run_up

_INTERRUPTED = 130
_FILE_WIDTH = 240
_T = TypeVar("_T")


class UsageError(Exception):
    """The command line asks for what cannot be."""


def main() -> int:
    """Run a command; return the exit code."""
    arguments = read_arguments()
    # Without a terminal there is no width to keep to.
    console = Terminal(width=None if sys.stdout.isatty() else _FILE_WIDTH)
    say = plain(Terminal(stderr=True))
    try:
        state = StateDirectory(arguments.state.resolve())
        layout = _layout(arguments, state, say)
        os.environ.clear()
        os.environ.update(layout.environment)
        if arguments.command == "up":
            lines = PartLines(console, everything=arguments.log == "debug")
            asyncio.run(_until_interrupted(run_up(layout, state, console, lines)))
            return 0
        succeeded = asyncio.run(
            _until_interrupted(run_demo(layout, state, arguments.out, console, platform=same_platform(arguments)))
        )
    except PartFailedError as exc:
        last = "".join(f"\n  {line}" for line in exc.output.last_lines)
        say(f"{exc}. Its log is {exc.output.path}; it ends with:{last}")
    except AlreadyRunningError as exc:
        say(f"{exc}\n{_advice(arguments, exc)}")
    except PortsError as exc:
        say(f"{exc} Choose others: {on_other_ports(arguments)}")
    except (ConfigError, HostError, KeyFileError, ModelsError, UsageError, DeployError) as exc:
        say(str(exc))
    except OSError as exc:
        say(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
    else:
        return _INTERRUPTED if succeeded is None else 0 if succeeded else 1
    return 1


def _advice(arguments: argparse.Namespace, running: AlreadyRunningError) -> str:
    end = f"End it with Ctrl-C in its terminal or with: kill {running.pid}"
    if arguments.command != "up":
        end = "Wait until it ends"
    return f"{end}\nOr run another one beside it: {beside(arguments)}"


def _layout(arguments: argparse.Namespace, state: StateDirectory, say: Callable[[str], None]) -> Layout:
    flux = _flux_demo(arguments, say) if arguments.command == "demo-flux" else None
    config = _config(arguments, say) if flux is None else flux.config
    own = {} if flux else _runtime_urls(arguments.runtime_url, config)
    if arguments.command == "up":
        with state.claimed():
            host, key = arguments.host, stored_key(Path(arguments.key_file or state.path / "api-key").expanduser())
        port, aws_port = claim(Wanted("the API", arguments.port, host), Wanted("AWS", arguments.aws_port))
    else:
        host, key = LOOPBACK, new_key()
        port, aws_port = free_port(), free_port()
    stand_ins = {one.name: stand_in_url(one, free_port()) for one in config.enabled_runtimes if one.name not in own}
    return Layout(
        config=config,
        host=host,
        gateway_port=port,
        aws_port=aws_port,
        server_urls={**stand_ins, **own},
        own_servers=frozenset(own),
        runtimes_file=state.runtimes_file,
        api_key=key,
        environment=sandboxed(os.environ, f"http://127.0.0.1:{aws_port}"),
        flux=None if flux is None else flux.server,
    )


def _config(arguments: argparse.Namespace, say: Callable[[str], None]) -> Config:
    config = load_config(arguments.config)
    for warning in warnings(config):
        say(f"{arguments.config}: {warning.pointer} {warning.detail}")
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
    names = ", ".join(config.catalog.names)
    for pair in pairs:
        name, equals, url = pair.partition("=")
        if not equals or ":" in name:
            raise UsageError(f"--runtime-url {pair}: write NAME=URL, as in {config.catalog.names[0]}={_example(pair)}")
        if config.catalog.find(name) is None:
            raise UsageError(f"--runtime-url {pair}: there is no runtime {name}; there are {names}.")
        if not _is_url(url):
            raise UsageError(f"--runtime-url {pair}: {url!r} is no URL; write {name}=http://HOST:PORT")
        urls[name] = url
    return urls


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, a bracket that does not close
        return False


def _example(text: str) -> str:
    return text if _is_url(text) else "http://HOST:PORT"


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
