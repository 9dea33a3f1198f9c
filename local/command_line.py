"""The arguments of ``python -m local``."""

import argparse
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from local.ports import AWS_PORT, GATEWAY_PORT, LOOPBACK, is_loopback
from local.processes import ROOT

CONFIG = ROOT / "config.yaml"
FRONTS = {"comfyui": "ComfyUI", "sdwebui": "SD WebUI"}
"""Dialects that may have a root of their own, and whose API that is."""
_STATE = ROOT / ".local"


def read_arguments() -> argparse.Namespace:
    """Read the command line; an invalid one ends the program with status 2.

    The result also has ``beside``, the command that runs a second platform beside the first, and ``platform``, the
    command that starts a platform with a demo's runtimes; None if the demo has no config.yaml.
    """
    parser = argparse.ArgumentParser(prog="python -m local", description="The whole platform on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)

    up = commands.add_parser("up", help="run until Ctrl-C")
    up.add_argument("--host", default=LOOPBACK, help="address that the API listens on (%(default)s)")
    up.add_argument("--port", type=_port, default=GATEWAY_PORT, help="the API's port, 0 for any free one (%(default)s)")
    up.add_argument("--aws-port", type=_port, default=AWS_PORT, help="AWS's port, likewise (%(default)s)")
    for dialect, client in FRONTS.items():
        text = f"port at whose root clients of {client} find their API, 0 for any free one; default: none"
        up.add_argument(f"--{dialect}-port", type=_port, help=text)
    up.add_argument(
        "--keyless",
        metavar="ID",
        help="id of the API key for which requests without one stand at those ports; default: the first key where "
        "--host is loopback, else none; with --data none, since a proxy may let others in",
    )
    up.add_argument("--key-file", help="file of the API key, made when it is not there; default: api-key in --state")
    up.add_argument(
        "--data", type=Path, help="folder that keeps jobs, pictures and keys; default: all but keys is lost"
    )
    up.add_argument(
        "--shell",
        choices=("lambda", "asgi"),
        help="lambda: the API as on AWS, behind a small API Gateway; asgi: as on plain Kubernetes, where one process "
        "has thousands of callers that wait (lambda; with --data or for other machines asgi)",
    )
    up.add_argument("--log", choices=("brief", "debug"), default="brief", help="debug: every line of every part")
    up.set_defaults(state=_STATE, beside="make up PORT=0 ARGS='--aws-port=0 --state=.local/2'", platform=None)

    demo = commands.add_parser("demo", help="post the sample requests and save their pictures")
    demo.set_defaults(state=_STATE / "demo", beside="make demo ARGS=--state=.local/demo-2")

    flux = commands.add_parser("demo-flux", help="the same, with the flux server itself in place of stand-ins")
    flux.add_argument("--python", type=Path, required=True, help="a Python that has PyTorch")
    flux.add_argument("--model-folder", type=Path, help="a model in the format of diffusers; default: tiny ones")
    flux.add_argument("--profile", default="flux-schnell", help="what that model is (%(default)s)")
    beside = "make demo-flux ARGS=--state=.local/demo-flux-2"
    flux.set_defaults(state=_STATE / "demo-flux", beside=beside, platform=None, runtime_url=[])

    for command in (up, demo, flux):
        command.add_argument("--state", type=Path, help="directory for logs and stack.json (%(default)s)")
    for command in (demo, flux):
        command.add_argument("--out", type=Path, default=Path("out"), help="directory for the pictures (%(default)s)")
    for command in (up, demo):
        command.add_argument("--config", type=Path, default=CONFIG, help="which runtimes run")
        command.add_argument(
            "--runtime-url",
            type=_runtime_url,
            action="append",
            default=[],
            metavar="NAME=URL",
            help="a real model server in place of a runtime's stand-in",
        )
    arguments = parser.parse_args()
    if arguments.command == "up":
        # Other machines cannot reach the local AWS, and only the former sends and takes files of any size itself.
        is_reachable = arguments.data is not None or not is_loopback(arguments.host)
        arguments.shell = arguments.shell or ("asgi" if is_reachable else "lambda")
        if arguments.data is not None:
            arguments.state = arguments.data
            arguments.keyless = arguments.keyless or ""
            arguments.beside = "make up DATA=ANOTHER-FOLDER PORT=0 ARGS=--aws-port=0"
    if arguments.command == "demo":
        own = "" if arguments.config.resolve() == CONFIG else f" CONFIG={shlex.quote(str(arguments.config))}"
        arguments.platform = f"make up{own}"
    return arguments


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 1 to 65535, or 0 for any that is free")
    return int(text)


def _runtime_url(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port, or a missing bracket
        is_url = False
    if not is_url:
        raise argparse.ArgumentTypeError(f"{url!r} is no URL; write NAME=URL, as in sdruntime=http://HOST:PORT")
    return name, url
