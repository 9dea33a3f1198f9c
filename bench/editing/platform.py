"""The platform under test, as a caller sees it: submits a case, follows its job, downloads its picture."""

import json
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jmespath

from bench.editing.cases import TEMPLATES, BenchError, CaseError, EditBody
from deploy.verify.pictures import DrawnPicture, PictureError, read_picture
from sd_on_eks import Client, ClientError, Job, NotConfigured

_PREFIX = "bench"


def add_platform_options(parser: Any) -> None:
    """Add the options for a platform and the jobs submitted to it."""
    parser.add_argument("--runtime", required=True, help="name of the runtime")
    parser.add_argument("--template", default="flux-edit", help=f"{', '.join(TEMPLATES)}, or your own file (flux-edit)")
    parser.add_argument("--wait", type=float, default=900, help="seconds to wait for a job's end (900)")
    parser.add_argument("--stack-file", type=Path, default=Path(".local/stack.json"), help="for the local platform")
    parser.add_argument("--api-key-file", type=Path, help="for a deployed platform: the file with its API key")


def connect(options: Any, endpoint: str | None) -> Client:
    """A client of a deployed platform, or without an endpoint of the running local one.

    Raises:
        BenchError: The key is missing, or no local platform is running.
    """
    try:
        if endpoint is None:
            stack = json.loads(options.stack_file.read_text(encoding="utf-8"))
            return Client(stack["FrontApiEndpoint"], stack["ApiKey"])
        if options.api_key_file is None:
            raise BenchError("A deployed platform needs --api-key-file too.")
        return Client(endpoint, options.api_key_file.read_text(encoding="utf-8").strip())
    except OSError as exc:
        raise BenchError(f"{exc.filename}: {exc.strerror}. Start a platform, or name its endpoint and key.") from exc
    except NotConfigured as exc:
        raise BenchError(str(exc)) from exc


class PlatformClient:
    """Submits the jobs of a run and follows them; ``run`` is the prefix of their ids and the folder in S3."""

    def __init__(self, sd: Client) -> None:
        self.run = f"edit-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        self._sd = sd
        self._links: dict[Path, str] = {}

    def request(self, task_id: str, runtime: str, body: EditBody) -> dict[str, Any]:
        """The body of a request; all results of the run share a prefix."""
        prefix = f"{_PREFIX}/{self.run}"
        return {"runtime": runtime, "type": body.tasktype, "content": body.content, "id": task_id, "prefix": prefix}

    def link(self, path: Path) -> str:
        """Send a file once, and return a link to it; raises CaseError if it is not accepted."""
        if path not in self._links:
            try:
                self._links[path] = self._sd.upload(path).s3
            except ClientError as exc:
                raise CaseError(f"{path.name} cannot be sent: {exc}") from exc
        return self._links[path]

    def submit(self, request: dict[str, Any]) -> Job:
        """Submit a job; raises CaseError if the platform does not answer or rejects it."""
        try:
            return self._sd.submit_body(request)
        except ClientError as exc:
            raise CaseError(str(exc)) from exc

    def wait(self, job: Job | str, timeout_s: float) -> Job:
        """Return a job once it has its pictures; raises CaseError if it is late or has failed."""
        try:
            ended = self._sd.wait(job, timeout_s=timeout_s)
        except ClientError as exc:
            raise CaseError(str(exc)) from exc
        if not ended.succeeded:
            raise CaseError(f"{ended.error.code}: {ended.error.message}" if ended.error else ended.state)
        return ended

    def picture(self, job: Job) -> DrawnPicture:
        """Download a job's last picture (an earlier one is a preview); raises CaseError if it cannot be read."""
        if not job.images:
            raise CaseError("The job has no picture.")
        image = job.images[-1]
        try:
            return read_picture(image.s3, self._sd.download(image))
        except (PictureError, ClientError) as exc:
            raise CaseError(str(exc)) from exc

    def timings(self, job: Job) -> list[float | None]:
        """Seconds in the model server, and until its preview; None if the manifest has no such value."""
        manifest: Any = {}
        with suppress(ValueError, ClientError):
            manifest = json.loads(self._sd.download(job.manifest)) if job.manifest else {}
        found = (jmespath.search(path, manifest) for path in ("timings_s.run", "answer.timings_s.preview"))
        return [float(value) if isinstance(value, int | float) else None for value in found]


def seconds_of(job: Job) -> float:
    """How long an ended job took, from its request on."""
    return ((job.ended_at or job.created_at) - job.created_at).total_seconds()
