"""The directory of a running platform: its logs, and stack.json with the names of a deployed stack's outputs."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.aws import JOBS_TABLE, NOTICE_TOPIC_ARN, OUTPUT_BUCKET
from local.parts import Layout
from local.proxy_event import API_KEY_ID
from local.sandbox import sandbox_environment


class AlreadyRunningError(Exception):
    """Another platform uses this state directory.

    Attributes:
        pid: Its process, whose end ends the platform.
    """

    def __init__(self, state: Path, pid: str, endpoint: str | None) -> None:
        where = f"at {endpoint}" if endpoint else "here and is still starting"
        super().__init__(f"A platform already runs {where} (process {pid}, its state in {state}).")
        self.pid = pid


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

    def publish(self, layout: Layout) -> None:
        """Write stack.json, complete from the first moment and readable by its owner only: it holds the key."""
        outputs = {
            "FrontApiEndpoint": layout.endpoint,
            "OutputS3Bucket": OUTPUT_BUCKET,
            "sdNotificationOutputArn": NOTICE_TOPIC_ARN,
            "JobsTable": JOBS_TABLE,
            "ApiKey": layout.api_key,
            "ApiKeyId": API_KEY_ID,
            "AwsEndpoint": layout.aws_endpoint,
            "Environment": sandbox_environment(layout.aws_endpoint),
            "Logs": str(self.logs),
            "Runtimes": json.loads(layout.config.catalog.to_json()),
            "Pid": os.getpid(),
        }
        draft = self.path / "stack.json.new"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(outputs, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.stack_file)
