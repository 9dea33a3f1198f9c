"""Files: download what jobs made, upload what jobs read."""

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
"""Lambda accepts up to 6 MB, including the overhead of its encoding."""


def download(output: Output | str) -> Flow[bytes]:
    """Download an output and return its bytes.

    Args:
        output: The output, or its URL. The URL must not have expired.
    """
    response = yield from _fetched(output if isinstance(output, str) else output.url)
    return response.content


def save(job: str | Job, folder: str | Path = ".") -> Flow[list[Path]]:
    """Save a job's pictures and files in a folder. Creates the folder if needed.

    Each file keeps its name from S3, which is unique to the job. An existing file of that name is replaced; a file is
    never left half written.

    Returns:
        The paths of the files, in the order of the job's images and files.

    Raises:
        JobFailed: The job failed or was cancelled, so it has no results.
        NotFound: You have no such job.
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
    """Save a running job's latest preview as ``JOB-preview``, replacing the previous one.

    Raises:
        NotFound: There is no preview: the request did not ask for previews, the model server does not make them, or
            the job has ended.
    """
    response = yield from _fetched(f"{job_path(job)}/preview")
    suffix = mimetypes.guess_extension(response.headers.get("content-type", "")) or ".png"
    path = Path(folder) / f"{job_id(job)}-preview{suffix}"
    yield Do(functools.partial(_write, path, response.content))
    return path


def upload(file: str | Path | bytes, *, name: str | None = None) -> Flow[SentFile]:
    """Upload a file, such as an input picture. Put the ``s3`` link of the result into a job's content.

    Args:
        file: Path or bytes of the file.
        name: File name. Default: the name in the path, or ``file`` for bytes.
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
    # Do not let httpx follow the redirect: it would send the API key to S3.
    if response.has_redirect_location:
        there = urljoin(str(response.url), response.headers["location"])
        response = yield Send("GET", there, timeout_s=_TRANSFER_TIMEOUT_S)
    return response


def _name_of(output: Output, otherwise: str) -> str:
    """Return a safe file name: the last part of the S3 key, without folders."""
    name = PurePosixPath(urlsplit(output.s3).path).name
    return name if name.strip(".") else f"{otherwise}{mimetypes.guess_extension(output.content_type or '') or ''}"


def _write(path: Path, content: bytes) -> None:
    """Write a file completely or not at all."""
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
