"""How a platform runs on this machine: its configuration, its addresses, and the directory of its state."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from configuration.config import Config
from local.api_key import API_KEY_ID, stored_key
from local.aws import JOBS_TABLE, NOTICE_TOPIC_ARN, OUTPUT_BUCKET
from local.ports import LOOPBACK
from local.sandbox import sandbox_environment

STORE = "store"
"""The folder in the directory of a platform that keeps its jobs and pictures."""
_STACK_FILE = "stack.json"
"""What stack.json says of a running platform, with the names of a deployed stack's outputs."""
_LOOPBACK_OF = {"0.0.0.0": LOOPBACK, "::": "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxServer:
    """How to run the flux server itself: a Python with PyTorch, and a folder of models."""

    python: Path
    models: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a platform runs.

    Attributes:
        state: Directory of its logs, its catalog of runtimes and stack.json.
        host: Address that the API listens on.
        server_urls: Base URL of each runtime's model server.
        own_servers: Runtimes with a model server of the user's, which is not started here.
        key_file: Where the API's first key is kept; None if it is not.
        environment: The environment of every part.
        flux: How to run the flux server itself; None for its stand-in.
        is_asgi: Whether the API runs as an ASGI application, not as Lambda's handlers behind an API Gateway.
        is_kept: Whether jobs and pictures are kept in the directory, not in memory.
        fronts: The ports of dialects that have a root of their own, for clients that take no path.
        keyless: Id of the key for which requests there stand that have none; "" if they must have one.
    """

    config: Config
    state: Path
    host: str = LOOPBACK
    gateway_port: int
    aws_port: int
    server_urls: Mapping[str, str]
    own_servers: frozenset[str] = frozenset()
    api_key: str = field(repr=False)
    key_file: Path | None = None
    environment: Mapping[str, str] = field(repr=False)
    flux: FluxServer | None = None
    is_asgi: bool = False
    is_kept: bool = False
    fronts: Mapping[str, int] = field(default_factory=dict)
    keyless: str = ""

    @property
    def has_strangers(self) -> bool:
        """Whether callers may come from other machines, so that what they name is checked as in a deployment."""
        return self.is_kept or self.host not in {LOOPBACK, "localhost", "::1"}

    @property
    def store(self) -> Path:
        """What is kept of AWS."""
        return self.state / STORE

    @property
    def logs(self) -> Path:
        """Directory of the parts' logs."""
        return self.state / "logs"

    @property
    def runtimes_file(self) -> Path:
        """The catalog of runtimes, as the Lambda bundles it."""
        return self.state / "runtimes.json"

    @property
    def keys_file(self) -> Path:
        """The API's keys with what each may do."""
        return self.state / "keys.json"

    @property
    def signing_secret(self) -> str:
        """The root secret that signs links and webhooks, which stays the same."""
        return stored_key(self.state / "signing-secret")

    @property
    def stack_file(self) -> Path:
        """Present while the platform runs."""
        return self.state / _STACK_FILE

    @property
    def aws_endpoint(self) -> str:
        """AWS's base URL."""
        return f"http://{LOOPBACK}:{self.aws_port}"

    @property
    def reachable_host(self) -> str:
        """The address at which this machine reaches the API."""
        return _LOOPBACK_OF.get(self.host, self.host)

    @property
    def endpoint(self) -> str:
        """The API's base URL, for this machine."""
        return self.endpoint_of(self.reachable_host)

    def endpoint_of(self, host: str) -> str:
        """The API's base URL under a name or address."""
        return f"{self._url(host, self.gateway_port)}/{self.config.apigw.stage_name}/"

    @staticmethod
    def _url(host: str, port: int) -> str:
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def front_url(self, dialect: str) -> str:
        """The URL of a dialect that has a root of its own."""
        return self._url(self.reachable_host, self.fronts[dialect])

    def publish(self) -> None:
        """Write stack.json atomically and readable only by its owner, because it contains the key."""
        outputs = {
            "FrontApiEndpoint": self.endpoint,
            "OutputS3Bucket": OUTPUT_BUCKET,
            "sdNotificationOutputArn": NOTICE_TOPIC_ARN,
            "JobsTable": JOBS_TABLE,
            "ApiKey": self.api_key,
            "ApiKeyId": API_KEY_ID,
            "AwsEndpoint": self.aws_endpoint,
            "Environment": {name: self.environment[name] for name in sandbox_environment(self.aws_endpoint)},
            "Logs": str(self.logs),
            "Fronts": {dialect: self.front_url(dialect) for dialect in self.fronts},
            "Runtimes": json.loads(self.config.catalog.to_json()),
            "Pid": os.getpid(),
        }
        draft = self.state / "stack.json.new"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(outputs, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.stack_file)


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can enter, for prompts and pictures; one that is there becomes so."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


class AlreadyRunningError(Exception):
    """Another platform uses this state directory."""


@contextmanager
def claimed(state: Path) -> Iterator[None]:
    """Reserve a state directory for this process; the kernel releases it when the process ends in any way.

    Raises:
        AlreadyRunningError: Another process has reserved it.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Opened without truncating: the holder has written its process id there.
    with (state / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip()
            raise AlreadyRunningError(
                f"A platform already runs {_where(state)} (process {pid}, its state in {state}).\n"
                f"End it with Ctrl-C in its terminal or with: kill {pid}"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        try:
            yield
        finally:
            (state / _STACK_FILE).unlink(missing_ok=True)


def _where(state: Path) -> str:
    try:
        return f"at {json.loads((state / _STACK_FILE).read_text(encoding='utf-8'))['FrontApiEndpoint']}"
    except (OSError, ValueError, KeyError):
        return "here and is still starting"
