"""What a running platform tells others: .local/stack.json, with the names of a deployed stack's outputs."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.aws import JOBS_TABLE, NOTICE_TOPIC_ARN, OUTPUT_BUCKET
from local.proxy_event import API_KEY_ID
from local.sandbox import sandbox_environment
from runtimes.catalog import RuntimeCatalog


class AlreadyRunningError(Exception):
    """Another platform uses this state directory.

    Attributes:
        pid: Its process, whose end ends the platform.
    """

    def __init__(self, state: Path, pid: str, endpoint: str | None) -> None:
        where = f"at {endpoint}" if endpoint else "here and is still starting"
        super().__init__(f"A platform already runs {where} (process {pid}, its state in {state}).")
        self.pid = pid


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Addresses of a running platform.

    Attributes:
        endpoint: The API's base URL, with the stage and a slash at the end.
        api_key: The key it takes.
        aws_endpoint: Where its AWS listens.
        logs: Where its parts' logs lie.
        runtimes: What it runs.
    """

    endpoint: str
    api_key: str = field(repr=False)
    aws_endpoint: str
    logs: Path
    runtimes: RuntimeCatalog

    def to_json(self) -> str:
        """Write the content of stack.json."""
        outputs = {
            "FrontApiEndpoint": self.endpoint,
            "OutputS3Bucket": OUTPUT_BUCKET,
            "sdNotificationOutputArn": NOTICE_TOPIC_ARN,
            "JobsTable": JOBS_TABLE,
            "ApiKey": self.api_key,
            "ApiKeyId": API_KEY_ID,
            "AwsEndpoint": self.aws_endpoint,
            "Environment": sandbox_environment(self.aws_endpoint),
            "Logs": str(self.logs),
            "Runtimes": json.loads(self.runtimes.to_json()),
            "Pid": os.getpid(),
        }
        return json.dumps(outputs, indent=2) + "\n"


class StateDirectory:
    """The directory of one running platform: its logs and its stack.json."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def logs(self) -> Path:
        """Directory of the parts' logs."""
        return self.path / "logs"

    @property
    def runtimes_file(self) -> Path:
        """The catalog of runtimes, as the Lambda bundles it."""
        return self.path / "runtimes.json"

    @property
    def stack_file(self) -> Path:
        """Present while the platform runs."""
        return self.path / "stack.json"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Have the directory for this process alone; the kernel lets go of it whatever becomes of us.

        Raises:
            AlreadyRunningError: Another process has it.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        # Not emptied by opening: who has it wrote its process id there.
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise AlreadyRunningError(self.path, lock.read().strip(), self._endpoint()) from None
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            try:
                yield
            finally:
                self.stack_file.unlink(missing_ok=True)

    def _endpoint(self) -> str | None:
        try:
            return str(json.loads(self.stack_file.read_text(encoding="utf-8"))["FrontApiEndpoint"])
        except (OSError, ValueError, KeyError):
            return None

    def publish(self, stack: Stack) -> None:
        """Write stack.json, complete from the first moment and readable by its owner only: it holds the key."""
        draft = self.path / "stack.json.new"
        draft.touch(mode=0o600)
        draft.write_text(stack.to_json(), encoding="utf-8")
        draft.replace(self.stack_file)
