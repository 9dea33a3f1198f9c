import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import boto3
import httpx
import pytest

from configuration.file import load_config
from deploy.verify.notices import NoticeQueue
from deploy.verify.samples import samples_of
from deploy.verify.target import Target, local_target
from test.kit.processes import PATIENCE_S, ROOT, wait_for

T = TypeVar("T")

_LAST_WORDS = "All samples at once"
"""What is printed when all runs, after stack.json is there; agents may still be about to start."""


@dataclass
class LocalUp:
    """A `python -m local up` of the tests' own, beside whatever else runs on this machine."""

    process: subprocess.Popen[str]
    state: Path
    printed: Path
    stack: dict[str, Any] = field(default_factory=dict)

    def wait_ready(self) -> None:
        self.until(lambda: _LAST_WORDS in self.output)
        self.until(lambda: any("queue_agent" in part for part in self.part_pids()))
        self.stack = json.loads((self.state / "stack.json").read_text())

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.printed.read_text()

    def until(self, condition: Callable[[], T]) -> T:
        """Wait for a condition; the platform must not end before."""

        def holds() -> T:
            assert self.process.poll() is None, self.output
            return condition()

        return wait_for(holds, lambda: self.output)

    @property
    def target(self) -> Target:
        def client(service: str, **options: Any) -> Any:
            environment = self.stack["Environment"]
            return boto3.client(
                service,
                endpoint_url=environment["AWS_ENDPOINT_URL"],
                region_name=environment["AWS_REGION"],
                aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
                **options,
            )

        return replace(local_target(self.stack), client=client)

    def post(self, body: Any, *, version: str = "v1alpha2", headers: Mapping[str, str] | None = None) -> httpx.Response:
        given = {"x-api-key": self.target.api_key} if headers is None else headers
        return httpx.post(f"{self.target.endpoint}/{version}", json=body, headers=given, timeout=30)

    def draw(self, notices: NoticeQueue, **changes: Any) -> tuple[dict[str, Any], Any]:
        """Have a picture made; return the door's answer and the notice."""
        answer = self.post(self.text_to_image(**changes))
        assert answer.status_code == 200, answer.text
        return answer.json(), self.wait_for_notice(notices, answer.json()["id_task"])

    @staticmethod
    def text_to_image(runtime: str = "sdruntime", **content: Any) -> dict[str, Any]:
        metadata = {
            "id": f"e2e-{secrets.token_hex(4)}",
            "runtime": runtime,
            "tasktype": "text-to-image",
            "context": content.pop("context", None),
        }
        return {"task": {"metadata": metadata, "content": {"prompt": "a dog", "width": 64, "height": 64, **content}}}

    def wait_for_notice(self, notices: NoticeQueue, task_id: str) -> Any:
        return self.until(lambda: next((one for one in notices.receive() if one.id == task_id), None))

    def part_pids(self) -> dict[str, int]:
        """Process ids of the parts, by their module and the runtime or type that they are for."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent != self.process.pid:
                    continue
                words = (entry / "cmdline").read_text().split("\0")
                environment = (entry / "environ").read_text().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words[1:2] == ["-m"]:
                marks = [word.partition("=")[2] for word in words if word.startswith("--type=")]
                marks += [line.partition("=")[2] for line in environment if line.startswith("RUNTIME_NAME=")]
                found[" ".join([words[2], *marks])] = int(entry.name)
        return found

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


StartUp = Callable[..., LocalUp]


def _start_up(directory: Path, *arguments: str) -> LocalUp:
    directory.mkdir(parents=True, exist_ok=True)
    printed = directory / "printed"
    command = [sys.executable, "-m", "local", "up", "--port=0", "--aws-port=0", f"--state={directory}", *arguments]
    # A profile that does not exist: a part that looked at the caller's AWS settings would fail.
    environment = os.environ | {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    with printed.open("w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
        )
    return LocalUp(process=process, state=directory, printed=printed)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalUp]:
    """The platform of the sample configuration, for the whole run."""
    up = _start_up(tmp_path_factory.mktemp("platform"))
    try:
        up.wait_ready()
        yield up
    finally:
        up.process.terminate()
        up.process.wait(PATIENCE_S)


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[StartUp]:
    """Starts platforms that end with the test."""
    started: list[LocalUp] = []

    def start(*arguments: str) -> LocalUp:
        started.append(_start_up(tmp_path / f"up{len(started)}", *arguments))
        return started[-1]

    yield start
    for up in started:
        up.process.kill()
        up.process.wait(PATIENCE_S)


@pytest.fixture
def notices(platform: LocalUp) -> Iterator[NoticeQueue]:
    with NoticeQueue(platform.target) as queue:
        yield queue


@pytest.fixture(scope="session")
def samples() -> list[Any]:
    return samples_of(load_config(ROOT / "config.yaml").catalog)


@pytest.fixture
def small_config(tmp_path: Path) -> Path:
    """A configuration with one runtime: quick to start."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "stackName: small\n"
        "modelBucketArn: arn:aws:s3:::models\n"
        "APIGW: {stageName: prod, throttle: {rateLimit: 1, burstLimit: 3}}\n"
        "modelsRuntime:\n"
        "  - {name: only, namespace: only, type: sdwebui, dynamicModel: true}\n"
    )
    return path
