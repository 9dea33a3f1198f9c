"""The files of one demo: a directory of its own under out/, and the contact sheet of all."""

import json
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

from configuration.config import Config
from contract.objects import s3_url
from deploy.verify.samples import INPUT_KEY, InputLinks, make_request
from deploy.verify.verification import SampleOutcome
from local.aws import OUTPUT_BUCKET
from local.ports import AWS_PORT, GATEWAY_PORT, LOOPBACK
from local.sheet import Entry, Run, write_sheet

_UP_LINKS = InputLinks(
    s3=s3_url(OUTPUT_BUCKET, INPUT_KEY), http=f"http://{LOOPBACK}:{AWS_PORT}/{OUTPUT_BUCKET}/{INPUT_KEY}"
)
"""The sample input on a platform that `make up` runs: those of the demo end with it."""


class DemoOutput:
    """Saves each outcome when it is known. File names are short as long as no two runtimes have the same type.

    Args:
        out: Directory of all runs.
        config: What the demo runs.
        asked: How many requests it posts.
        platform: The command that starts a platform which takes them; None where there is none.
    """

    def __init__(self, out: Path, config: Config, *, asked: int, platform: str | None) -> None:
        types = [runtime.type for runtime in config.catalog]
        self._out = out
        self._stage = config.apigw.stage_name
        self._alone = {runtime.name for runtime in config.catalog if types.count(runtime.type) == 1}
        started = datetime.now().astimezone()
        self.run = Run(directory=out / f"{started:%Y-%m-%d_%H-%M-%S}", started=started, asked=asked, platform=platform)

    def save(self, outcome: SampleOutcome) -> None:
        """Save a request and its pictures; the first one makes the run's directory."""
        if not self.run.entries:
            self.run.directory = _made(self.run.directory)
        stem = self._stem(outcome)
        files = []
        for number, picture in enumerate(outcome.pictures, start=1):
            name = f"{stem}-{number}" if number > 1 else stem
            files.append(f"{name}.{picture.extension}")
            (self.run.directory / files[-1]).write_bytes(picture.content)
        sample = outcome.request.sample
        body = make_request(sample, _UP_LINKS).body
        request = self.run.directory / f"{stem}.json"
        request.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
        self.run.entries.append(
            Entry(
                task=outcome.request.task_type,
                api=sample.api_version,
                runtime=sample.runtime,
                prompt=_prompt(body),
                seconds=outcome.seconds,
                pictures=files,
                problem=outcome.problem,
                request=request.name,
                curl=self._curl(sample.api_version, request),
            )
        )
        self.run.save()

    def write_sheet(self) -> Path | None:
        """Write the contact sheet of all runs and return its path; None when there is nothing of this one."""
        return write_sheet(self._out) if self.run.entries else None

    def _stem(self, outcome: SampleOutcome) -> str:
        sample = outcome.request.sample
        runtime = None if sample.runtime in self._alone else sample.runtime
        version = None if sample.api_version == "v1alpha2" else sample.api_version
        return "-".join(filter(None, (runtime, sample.name, version)))

    def _curl(self, api_version: str, request: Path) -> str:
        return (
            f"curl -sS http://{LOOPBACK}:{GATEWAY_PORT}/{self._stage}/{api_version} \\\n"
            '  -H "x-api-key: $(cat .local/api-key)" \\\n'
            "  -H 'Content-Type: application/json' \\\n"
            f"  -d @{shlex.quote(str(request))}"
        )


def _made(directory: Path) -> Path:
    """Make a directory that no other run has, under that name or the next one."""
    number, made = 1, directory
    while True:
        try:
            made.mkdir(parents=True)
        except FileExistsError:
            if not made.is_dir():
                raise
            number += 1
            made = directory.with_name(f"{directory.name}_{number}")
        else:
            return made


def _prompt(body: dict[str, Any]) -> str:
    """What a request asks for: its prompt, or the first text of a workflow's nodes."""
    content = body["task"]["content"] if "task" in body else body
    if isinstance(prompt := content.get("prompt"), str):
        return prompt
    inputs = (node.get("inputs", {}) for node in content.values() if isinstance(node, dict))
    return next((text for one in inputs if isinstance(text := one.get("text"), str)), "")
