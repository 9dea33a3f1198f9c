"""The commands. Each takes the parsed arguments and the screen to write to, and returns whether it succeeded."""

from __future__ import annotations

import getpass
import json
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from sd_on_eks.cli.screen import Screen, open_jobs, place_text, progress_text
from sd_on_eks.client import Client
from sd_on_eks.connection import Connection
from sd_on_eks.errors import ClientError
from sd_on_eks.models import Job, Preview

OPEN = "accepted,queued,running"
_LOOK_EVERY_S = 2.0
_MAX_ROWS = 50
_VIEWERS = ("xdg-open", "open")
_WORKFLOW_TYPE, _PROMPT_TYPE = "pipeline", "text-to-image"


class WrongUsage(ClientError):  # noqa: N818 (as errors.py has them)
    """The arguments do not fit together, or name a file that cannot be read."""


def submit(options: Namespace, screen: Screen) -> bool:
    """Submit a job, and follow it if ``--wait`` or ``--out`` is given."""
    body = _body(options)
    with Client() as sd:
        return _shown(sd, sd.submit_body(body), options, screen)


def retry(options: Namespace, screen: Screen) -> bool:
    """Repeat a job with changes, and follow it if ``--wait`` or ``--out`` is given."""
    with Client() as sd:
        return _shown(sd, sd.retry(options.job, _merged({}, options.changes)), options, screen)


def list_jobs(options: Namespace, screen: Screen) -> bool:
    """List jobs."""
    with Client() as sd:
        found = sd.list(state=options.state, runtime=options.runtime, task_id=options.id)
        screen.jobs(islice(found, options.n))
    return True


def show(options: Namespace, screen: Screen) -> bool:
    """Show a job."""
    with Client() as sd:
        screen.job(sd.get(options.job))
    return True


def watch(options: Namespace, screen: Screen) -> bool:
    """Follow a job, or all open jobs, until they end."""
    with Client() as sd:
        if options.job:
            return _ended_well(_followed(sd, options.job, screen), screen)
        _watch_all(sd, screen)
    return True


def cancel(options: Namespace, screen: Screen) -> bool:
    """Cancel a job."""
    with Client() as sd:
        job = sd.cancel(options.job)
    if screen.as_json:
        screen.data(job)
    else:
        screen.say(f"{job.job} {job.state}" if job.has_ended else f"{job.job} will stop in a moment")
    return True


def why(options: Namespace, screen: Screen) -> bool:
    """Explain a job's state, and what to do if it failed."""
    with Client() as sd:
        job = sd.get(options.job)
    if screen.as_json:
        screen.data({"state": job.state, "error": job.error, "attempts": job.attempts, "queue": job.queue,
                     "retry_reason": job.retry_reason, "warnings": job.warnings})  # fmt: skip
        return True
    screen.say(f"{job.job} {job.state}")
    if job.error:
        screen.say(f"{job.error.code}: {job.error.message}")
    if job.error and job.error.hint:
        screen.say(job.error.hint)
    if job.attempts:
        screen.say(f"Attempts: {job.attempts}")
    if job.retry_reason:
        screen.say(f"The last attempt failed: {job.retry_reason}")
    if job.queue:
        screen.say(f"It is waiting: {place_text(job.queue)}.")
    if job.progress and (now := progress_text(job.progress)):
        screen.say(f"It is at {now}.")
    return True


def copy(options: Namespace, screen: Screen) -> bool:
    """Save the pictures of jobs."""
    with Client() as sd:
        saved = [sd.save(job, options.folder) for job in options.jobs]
    for job, files in zip(options.jobs, saved, strict=True):
        if not files:
            screen.complain(f"{job} has no pictures yet.")
        _say_files(files, screen)
    return all(saved)


def open_pictures(options: Namespace, screen: Screen) -> bool:
    """Save a job's pictures, and show them in an image viewer if one is installed."""
    with Client() as sd:
        files = sd.save(options.job, tempfile.mkdtemp(prefix="sd-"))
    _say_files(files, screen)
    viewer = next(filter(None, map(shutil.which, _VIEWERS)), None)
    if viewer is None:
        screen.note(f"No image viewer found: neither {' nor '.join(_VIEWERS)} is installed.")
        return True
    for file in files:
        # Without a display, viewers write a lot to stderr.
        shown = subprocess.run([viewer, str(file)], check=False, stderr=subprocess.DEVNULL)  # noqa: S603
        if shown.returncode:
            screen.note(f"{viewer} cannot show {file}.")
    return True


def runtimes(_: Namespace, screen: Screen) -> bool:
    """List the runtimes."""
    with Client() as sd:
        screen.runtimes(sd.runtimes())
    return True


def key(options: Namespace, screen: Screen) -> bool:
    """Show the API's URL and where its key comes from; save both if asked."""
    if options.url:
        api_key = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()
        if not api_key.strip():
            raise WrongUsage("There is no key to save: type it, or pass it on stdin.")
        found = Connection.find(options.url, api_key.strip())
    else:
        found = Connection.find()
    saved = found.save() if options.save or options.url else None
    if screen.as_json:
        screen.data({"url": found.url, "source": found.source, "saved": None if saved is None else str(saved)})
        return True
    screen.say(f"{found.url}, with the key from {found.source}")
    if saved:
        screen.say(f"Saved in {saved}, which only you can read.")
    return True


def _body(options: Namespace) -> dict[str, Any]:
    """Build the body of a request from a file and the options."""
    given = {} if options.file is None else _read(options.file)
    is_workflow = bool(given) and all(isinstance(node, dict) and "class_type" in node for node in given.values())
    is_request = "content" in given
    body: dict[str, Any] = given if is_request else {"content": given}
    content = body["content"] if isinstance(body["content"], dict) else {}
    if options.prompt is not None:
        if is_workflow:
            raise WrongUsage("In a workflow the prompt belongs to a node: use --set NODE.inputs.text='…'.")
        content = {**content, "prompt": options.prompt}
    if not (is_request or content or options.changes):
        raise WrongUsage("There is nothing to draw: name a file, or give --prompt or --set.")
    body["content"] = _merged(content, options.changes)
    body.setdefault("type", _WORKFLOW_TYPE if is_workflow else _PROMPT_TYPE)
    for name in ("runtime", "type", "id", "priority"):
        if getattr(options, name) is not None:
            body[name] = getattr(options, name)
    if options.preview:
        body["keep"] = ["preview"]
    if "runtime" not in body:
        raise WrongUsage("Which runtime should draw it? Add --runtime; `sd runtimes` lists them.")
    return body


def _read(name: str) -> dict[str, Any]:
    try:
        found = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8"))
    except OSError as exc:
        raise WrongUsage(f"{name} cannot be read: {exc.strerror}.") from exc
    except ValueError as exc:
        raise WrongUsage(f"{name} is not JSON: {exc}.") from exc
    if not isinstance(found, dict):
        raise WrongUsage(f"{name} is not a JSON object.")
    return found


def _merged(content: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge changes into content; nested objects are merged too."""
    result = dict(content)
    for change in changes:
        for name, value in change.items():
            inner = result.get(name)
            result[name] = (
                _merged(inner if isinstance(inner, dict) else {}, [value]) if isinstance(value, dict) else value
            )
    return result


def _shown(sd: Client, job: Job, options: Namespace, screen: Screen) -> bool:
    """Show a job that was just submitted; follow it if ``--wait`` or ``--out`` is given."""
    for warning in job.warnings:
        screen.note(f"{warning.pointer} {warning.detail}")
    if not (options.wait or options.out):
        if screen.as_json:
            screen.data(job)
        else:
            screen.say(job.job)
        return True
    ended = _followed(sd, job, screen, options.out)
    if ended.succeeded and options.out:
        files = sd.save(ended, options.out)
        if not screen.as_json:
            _say_files(files, screen)
            return True
    return _ended_well(ended, screen)


def _followed(sd: Client, job: str | Job, screen: Screen, out: str | None = None) -> Job:
    """Follow a job to its end."""
    try:
        with screen.following() as follower:
            for event in sd.watch(job):
                follower.show(event)
                if isinstance(event.data, Preview) and out is not None:
                    follower.note(str(sd.save_preview(job, out)))
                if isinstance(event.data, Job):
                    return event.data
    except KeyboardInterrupt:
        name = job if isinstance(job, str) else job.job
        screen.note(f"The job keeps running. Follow it with `sd watch {name}`, or stop it with `sd cancel {name}`.")
        raise
    raise AssertionError  # the last event has the job


def _ended_well(job: Job, screen: Screen) -> bool:
    screen.job(job)
    if job.error and job.error.hint and not screen.as_json:
        screen.note(job.error.hint)
    return job.succeeded


def _watch_all(sd: Client, screen: Screen) -> None:
    """Show the open jobs until there are none."""
    told: dict[str, str] = {}
    with screen.live() as live:
        while jobs := [*islice(sd.list(state=OPEN), _MAX_ROWS)]:
            if live is not None:
                live.update(open_jobs(jobs))
            for job in jobs if live is None else ():
                if told.get(job.job) != job.state:
                    told[job.job] = job.state
                    screen.jobs([job])
            time.sleep(_LOOK_EVERY_S)
        if live is not None:
            live.update("No job is open.")


def _say_files(files: Iterable[Path], screen: Screen) -> None:
    for file in files:
        if screen.as_json:
            screen.data({"file": str(file)})
        else:
            screen.say(str(file))
