"""A `python -m local up` of a test's own."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import boto3
import httpx

from deploy.verify.target import Target, local_target
from test.kit.notices import NoticeQueue
from test.kit.processes import PATIENCE_S, ROOT, wait_for

T = TypeVar("T")

_MARKS = ("--type=", "RUNTIME_NAME=")
_LAST_WORDS = "All samples at once"
"""Printed when all parts run and stack.json exists; agents may still be starting."""


class LocalUp:
    """A `python -m local up` that does not disturb others on this machine; ``root`` has its code."""

    def __init__(self, state: Path, *arguments: str, keeps: bool = False, root: Path = ROOT) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self.state = state
        self.stack: dict[str, Any] = {}
        place = f"--data={state}" if keeps else f"--state={state}"
        command = [sys.executable, "-m", "local", "up", "--port=0", "--aws-port=0", place, *arguments]
        # The profile does not exist: a part that reads the caller's AWS settings fails.
        options: Any = {"env": os.environ | {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}}
        options |= {"cwd": root, "stderr": subprocess.STDOUT, "start_new_session": True}
        with (state / "printed").open("w") as printed:
            self.process = subprocess.Popen(command, stdout=printed, **options)

    def wait_ready(self) -> None:
        self.until(lambda: _LAST_WORDS in self.output)
        self.until(lambda: any("queue_agent" in part for part in self.part_pids()))
        self.stack = json.loads((self.state / "stack.json").read_text())

    @property
    def output(self) -> str:
        """Its output so far."""
        return (self.state / "printed").read_text()

    def until(self, condition: Callable[[], T]) -> T:
        """Wait for a condition; fail if the platform ends first."""

        def holds() -> T:
            assert self.process.poll() is None, self.output
            return condition()

        return wait_for(holds, lambda: self.output)

    @property
    def target(self) -> Target:
        environment = self.stack["Environment"]
        keys = {name.lower(): environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        session = boto3.Session(region_name=environment["AWS_REGION"], **keys)
        return replace(
            local_target(self.stack), client=partial(session.client, endpoint_url=environment["AWS_ENDPOINT_URL"])
        )

    def post(self, body: Any) -> httpx.Response:
        headers = {"x-api-key": self.target.api_key}
        return httpx.post(f"{self.target.endpoint}/v1alpha2", json=body, headers=headers, timeout=30)

    def draw(self, notices: NoticeQueue, **changes: Any) -> tuple[dict[str, Any], Any]:
        """Draw a picture; return the door's answer and the notice."""
        answer = self.post(self.text_to_image(**changes))
        assert answer.status_code == 200, answer.text
        return answer.json(), self.wait_for_notice(notices, answer.json()["id_task"])

    @staticmethod
    def text_to_image(runtime: str = "sdruntime", context: Any = None, **content: Any) -> dict[str, Any]:
        metadata = {"id": f"e2e-{secrets.token_hex(4)}", "runtime": runtime, "tasktype": "text-to-image"}
        content = {"prompt": "a dog", "width": 64, "height": 64, **content}
        return {"task": {"metadata": {**metadata, "context": context}, "content": content}}

    def wait_for_notice(self, notices: NoticeQueue, task_id: str) -> Any:
        return self.until(lambda: next((one for one in notices.receive() if one.id == task_id), None))

    def part_pids(self) -> dict[str, int]:
        """Process ids of the parts, by module and by their runtime or type."""
        found = {}
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        for pid in (pid for thread in threads for pid in thread.read_text().split()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
                marks = [one.partition("=")[2] for one in (*words, *environment) if one.startswith(_MARKS)]
                if words[1:2] == ["-m"]:
                    found[" ".join([words[2], *marks])] = int(pid)
        return found

    def environment_of(self, part: str) -> dict[str, str]:
        """The environment of a part, by its name in ``part_pids``."""
        text = Path(f"/proc/{self.part_pids()[part]}/environ").read_text()
        return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)
