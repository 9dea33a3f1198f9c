"""Files: the outputs of jobs, and what jobs are to read."""

from __future__ import annotations

import functools
import mimetypes
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin, urlsplit

import httpx

from sd_on_eks.calls.jobs import get, job_id, job_path
from sd_on_eks.errors import JobFailed
from sd_on_eks.models import Job, Output, SentFile
from sd_on_eks.steps import Do, Flow, Send, read

_TRANSFER_TIMEOUT_S = 60.0
_FORM_BYTES = 3_000_000
"""Lambda takes up to 6 MB, of which encoding needs a part."""


def download(output: Output | str) -> Flow[bytes]:
    """Get an output's bytes, or those behind its URL, while that is valid."""
    response = yield from _fetched(output if isinstance(output, str) else output.url)
    return response.content


def save(job: str | Job, folder: str | Path = ".") -> Flow[list[Path]]:
    """Save the pictures and files of a job in a folder, which is made if it is not there.

    Each file appears whole under its name in S3, which no other job has, in place of one of that name.

    Returns:
        The files, in the order of the job's images and files.

    Raises:
        JobFailed: It has none, and never will.
        NotFound: There is no such job of yours.
    """
    found = yield from get(job)
    if found.has_ended and not found.succeeded:
        raise JobFailed(found)
    paths = []
    for number, output in enumerate(found.outputs, start=1):
        response = yield from _fetched(f"{job_path(found)}/outputs/{number}")
        path = Path(folder) / _name_of(output, f"{found.job}-{number}")
        yield Do(functools.partial(_write, path, response.content))
        paths.append(path)
    return paths


def save_preview(job: str | Job, folder: str | Path = ".") -> Flow[Path]:
    """Save the latest picture of a job that runs as ``JOB-preview``, in place of the one before.

    Raises:
        NotFound: There is none: its request did not ask for previews, its model server has none, or it has ended.
    """
    response = yield from _fetched(f"{job_path(job)}/preview")
    suffix = mimetypes.guess_extension(response.headers.get("content-type", "")) or ".png"
    path = Path(folder) / f"{job_id(job)}-preview{suffix}"
    yield Do(functools.partial(_write, path, response.content))
    return path


def upload(file: str | Path | bytes, *, name: str | None = None) -> Flow[SentFile]:
    """Send a file, such as a picture to draw from, whose ``s3`` link then stands in a job's content.

    Args:
        file: Its path, or its bytes.
        name: Its name; needed for bytes.
    """
    data: bytes = file if isinstance(file, bytes) else (yield Do(Path(file).read_bytes))
    name = name or (Path(file).name if not isinstance(file, bytes) else "file")
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if len(data) <= _FORM_BYTES:
        response = yield Send("POST", "/files", files={"file": (name, data, content_type)})
        return read(SentFile, response)
    asked = {"name": name, "content_type": content_type, "size": len(data)}
    response = yield Send("POST", "/files", json=asked)
    stored = read(SentFile, response)
    if stored.upload is not None:
        there = stored.upload
        yield Send(there.method, there.url, content=data, headers=there.headers, timeout_s=_TRANSFER_TIMEOUT_S)
    return stored


def _fetched(place: str) -> Flow[httpx.Response]:
    response: httpx.Response = yield Send("GET", place, timeout_s=_TRANSFER_TIMEOUT_S)
    # Followed by hand: httpx would take the key along to S3.
    if response.has_redirect_location:
        there = urljoin(str(response.url), response.headers["location"])
        response = yield Send("GET", there, timeout_s=_TRANSFER_TIMEOUT_S)
    return response


def _name_of(output: Output, otherwise: str) -> str:
    """A file name of the platform's making, which leads nowhere else."""
    name = PurePosixPath(urlsplit(output.s3).path).name
    return name if name.strip(".") else f"{otherwise}{mimetypes.guess_extension(output.content_type or '') or ''}"


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as draft:
        try:
            draft.write(content)
            draft.close()
            Path(draft.name).chmod(0o644)
            Path(draft.name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(draft.name).unlink()
            raise
