"""The arguments of ``python -m local``, and how ``make`` spells them."""

import argparse
import shlex
from pathlib import Path

from local.platform import ROOT
from local.ports import AWS_PORT, GATEWAY_PORT, LOOPBACK, free_port_after

CONFIG = ROOT / "config.yaml"


def read_arguments() -> argparse.Namespace:
    """Read the command line; one that cannot be read ends the program with status 2."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The whole platform on this machine.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=CONFIG, help="which runtimes run")
    common.add_argument(
        "--runtime-url",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a real model server in place of a runtime's stand-in",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[common], help="run until Ctrl-C")
    up.add_argument("--host", default=LOOPBACK, help="address that the API listens on (%(default)s)")
    up.add_argument("--port", type=_port, default=GATEWAY_PORT, help="the API's port, 0 for any free one (%(default)s)")
    up.add_argument("--aws-port", type=_port, default=AWS_PORT, help="AWS's port, likewise (%(default)s)")
    up.add_argument("--state", type=Path, default=ROOT / ".local", help="directory for logs and stack.json")
    up.add_argument("--key-file", help="file of the API key, made when it is not there; default: api-key in --state")
    up.add_argument("--log", choices=("brief", "debug"), default="brief", help="debug: every line of every part")
    demo = commands.add_parser("demo", parents=[common], help="post the sample requests and save their pictures")
    _add_demo_options(demo, ROOT / ".local" / "demo")
    flux = commands.add_parser("demo-flux", help="the same, with the flux server itself in place of stand-ins")
    flux.add_argument("--python", type=Path, required=True, help="a Python that has PyTorch")
    flux.add_argument("--model-folder", type=Path, help="a model in the format of diffusers; default: tiny ones")
    flux.add_argument("--profile", default="flux-schnell", help="what that model is (%(default)s)")
    _add_demo_options(flux, ROOT / ".local" / "demo-flux")
    return parser.parse_args()


def _add_demo_options(parser: argparse.ArgumentParser, state: Path) -> None:
    parser.add_argument("--out", type=Path, default=Path("out"), help="directory for the pictures (%(default)s)")
    parser.add_argument("--state", type=Path, default=state, help="directory for logs")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 1 to 65535, or 0 for any that is free")
    return int(text)


def beside(arguments: argparse.Namespace) -> str:
    """The command that runs what was asked for beside what already runs, on ports that are free now."""
    if arguments.command != "up":
        return _make(arguments.command, _state(arguments.state.with_name(f"{arguments.state.name}-2")))
    port, aws_port = free_port_after(arguments.port, arguments.host), free_port_after(arguments.aws_port)
    return _up(arguments, port, aws_port, _state(ROOT / ".local" / str(port)))


def on_other_ports(arguments: argparse.Namespace) -> str:
    """The same command on ports that are free now."""
    port, aws_port = free_port_after(arguments.port, arguments.host), free_port_after(arguments.aws_port)
    state = arguments.state.resolve()
    return _up(arguments, port, aws_port, "" if state == ROOT / ".local" else _state(state))


def same_platform(arguments: argparse.Namespace) -> str | None:
    """The command that starts a platform with a demo's runtimes; None for a demo with a configuration of its own."""
    if arguments.command != "demo":
        return None
    urls = " ".join(f"--runtime-url {shlex.quote(pair)}" for pair in arguments.runtime_url)
    return _make("up", urls, CONFIG=_config(arguments))


def _up(arguments: argparse.Namespace, port: int, aws_port: int, state: str) -> str:
    urls = [f"--runtime-url {shlex.quote(pair)}" for pair in arguments.runtime_url]
    return _make(
        "up",
        " ".join(filter(None, (f"--aws-port {aws_port}", state, *urls))),
        CONFIG=_config(arguments),
        HOST="" if arguments.host == LOOPBACK else arguments.host,
        PORT=str(port),
        KEY_FILE=arguments.key_file or "",
    )


def _config(arguments: argparse.Namespace) -> str:
    return "" if arguments.config.resolve() == CONFIG else str(arguments.config)


def _state(path: Path) -> str:
    path = path.resolve()
    return f"--state {shlex.quote(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))}"


def _make(target: str, arguments: str, **variables: str) -> str:
    given = [f"{name}={shlex.quote(value)}" for name, value in variables.items() if value]
    return " ".join(["make", target, *given, *([f"ARGS={shlex.quote(arguments)}"] if arguments else [])])
