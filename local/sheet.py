"""The files of the demos: a directory of pictures and requests for each run, and the page that shows all of them."""

import contextlib
import json
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2

from configuration.config import Config
from contract.objects import s3_url
from deploy.verify.samples import INPUT_KEY, InputLinks, make_request
from deploy.verify.verification import SampleOutcome
from local.aws import OUTPUT_BUCKET
from local.icons import IconAnswer
from local.ports import AWS_PORT, GATEWAY_PORT, LOOPBACK

_RUN_FILE = "run.json"
"""A run, as its directory records it: when it began, and the outcomes of its requests."""
_PAGE = Path(__file__).with_name("sheet.html")
_UP_LINKS = InputLinks(
    s3=s3_url(OUTPUT_BUCKET, INPUT_KEY), http=f"http://{LOOPBACK}:{AWS_PORT}/{OUTPUT_BUCKET}/{INPUT_KEY}"
)
"""The sample input on a platform of `make up`; that of the demo's platform ends with it."""


class DemoOutput:
    """Saves each outcome of a demo once it is known. File names are short if no two runtimes have the same type.

    ``out`` is the directory of all runs, ``asked`` the number of requests of this one, and ``platform`` the command
    that starts a platform for them; None if there is none.
    """

    def __init__(self, out: Path, config: Config, *, asked: int, platform: str | None) -> None:
        types = [runtime.type for runtime in config.catalog]
        self._out = out
        self._stage = config.apigw.stage_name
        self._alone = {runtime.name for runtime in config.catalog if types.count(runtime.type) == 1}
        started = datetime.now().astimezone()
        self.directory = out / f"{started:%Y-%m-%d_%H-%M-%S}"
        self.asked = asked
        self.entries: list[dict[str, Any]] = []
        """Each request's outcome; ``problem`` is None on success, ``seconds`` is None if no notice came."""
        self._run = {
            "started": started.isoformat(timespec="seconds"),
            "asked": asked,
            "platform": platform,
            "entries": self.entries,
        }

    def save(self, outcome: SampleOutcome) -> None:
        """Save a request and its pictures; the first call creates the run's directory."""
        if not self.entries:
            self.directory = _made(self.directory)
        sample = outcome.request.sample
        stem = self._stem(outcome)
        files = []
        for number, picture in enumerate(outcome.pictures, start=1):
            files.append(f"{stem}-{number}.{picture.extension}" if number > 1 else f"{stem}.{picture.extension}")
            (self.directory / files[-1]).write_bytes(picture.content)
        body = make_request(sample, _UP_LINKS).body
        request = self.directory / f"{stem}.json"
        request.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
        self._add(
            {
                "task": outcome.request.task_type,
                "api": sample.api_version,
                "runtime": sample.runtime,
                "prompt": _prompt(body),
                "seconds": outcome.seconds,
                "pictures": files,
                "problem": outcome.problem,
                "request": request.name,
                "curl": self._curl(sample.api_version, request),
            }
        )

    def save_icon(self, answer: IconAnswer) -> None:
        """Save an icon and the request for it."""
        kind = "drawn" if answer.was_drawn else "found"
        files = []
        if answer.picture is not None:
            files.append(f"icon-{kind}.{answer.extension}")
            (self.directory / files[0]).write_bytes(answer.picture)
        request = self.directory / f"icon-{kind}.json"
        request.write_text(json.dumps(answer.request, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self._add(
            {
                "task": f"icon, {kind}",
                "api": "v1",
                "runtime": "icon library",
                "prompt": answer.request["query"],
                "seconds": answer.seconds,
                "pictures": files,
                "problem": answer.problem,
                "request": request.name,
                "curl": self._curl("v1/icons/resolve", request),
            }
        )

    def _add(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)
        (self.directory / _RUN_FILE).write_text(json.dumps(self._run, indent=2) + "\n", encoding="utf-8")

    def write_sheet(self) -> Path | None:
        """Write the page of all runs, newest first, and return its path; None if this run saved nothing."""
        if not self.entries:
            return None
        runs = []
        for file in sorted(self._out.glob(f"*/{_RUN_FILE}"), reverse=True):
            # Others come from another version, or from somebody else.
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                run = json.loads(file.read_text(encoding="utf-8"))
                times = {
                    "started": datetime.fromisoformat(run["started"]),
                    "missing": run["asked"] - len(run["entries"]),
                }
                runs.append({**run, **times, "folder": file.parent.name})
        page = jinja2.Template(_PAGE.read_text(encoding="utf-8"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        index = self._out / "index.html"
        index.write_text(page.render(runs=runs), encoding="utf-8")
        return index

    def _stem(self, outcome: SampleOutcome) -> str:
        sample = outcome.request.sample
        runtime = None if sample.runtime in self._alone else sample.runtime
        version = None if sample.api_version == "v1alpha2" else sample.api_version
        return "-".join(filter(None, (runtime, sample.name, version)))

    def _curl(self, path: str, request: Path) -> str:
        return (
            f"curl -sS http://{LOOPBACK}:{GATEWAY_PORT}/{self._stage}/{path} \\\n"
            '  -H "x-api-key: $(cat .local/api-key)" \\\n'
            "  -H 'Content-Type: application/json' \\\n"
            f"  -d @{shlex.quote(str(request))}"
        )


def _made(directory: Path) -> Path:
    """Create a directory for a run, with the given name or the next free one."""
    number, made = 1, directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    while made.is_dir():
        number += 1
        made = directory.with_name(f"{directory.name}_{number}")
    made.mkdir()
    return made


def _prompt(body: dict[str, Any]) -> str:
    """A request's prompt, or the first text of a workflow's nodes."""
    content = body["task"]["content"] if "task" in body else body
    if isinstance(prompt := content.get("prompt"), str):
        return prompt
    inputs = (node.get("inputs", {}) for node in content.values() if isinstance(node, dict))
    return next((text for one in inputs if isinstance(text := one.get("text"), str)), "")
