"""A client of the platform under test: posts a case, waits for its notice, downloads its picture."""

import json
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx
import jmespath
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from bench.editing.cases import TEMPLATES, BenchError, CaseError, EditBody
from contract.notice import Notice
from contract.objects import split_s3_url
from deploy.aws import AWS_ERRORS
from deploy.errors import DeployError
from deploy.verify.notices import NoticeQueue
from deploy.verify.pictures import DrawnPicture, PictureError, fetch_picture
from deploy.verify.target import Target, enter_local_stack, local_target

_PREFIX = "bench"
_LINK_S = 24 * 3600
_ANSWER_TIMEOUT_S = 35.0
"""API Gateway answers within 29 seconds."""


def add_platform_options(parser: Any) -> None:
    """Add the options for a platform and the tasks posted to it."""
    parser.add_argument("--runtime", required=True, help="name of the runtime")
    parser.add_argument("--template", default="flux-edit", help=f"{', '.join(TEMPLATES)}, or your own file (flux-edit)")
    parser.add_argument("--wait", type=float, default=900, help="seconds to wait for a task's notice (900)")
    parser.add_argument("--stack-file", type=Path, default=Path(".local/stack.json"), help="for the local platform")
    parser.add_argument("--api-key-file", type=Path, help="for a deployed platform: the file with its API key")
    parser.add_argument("--topic-arn", help="for a deployed platform: the topic of notices")
    parser.add_argument("--bucket", help="for a deployed platform: the output bucket, if a template needs links")


def find_target(options: Any, endpoint: str | None) -> Target:
    """Find a deployed platform by its addresses, or without an endpoint the running local one.

    Raises:
        BenchError: An address is missing, or no local platform is running.
    """
    if endpoint is None:
        try:
            os.environ["STACK_FILE"] = str(options.stack_file)
            return local_target(enter_local_stack(os.environ))
        except DeployError as exc:
            raise BenchError(f"{exc} Or name one: its endpoint, --api-key-file and --topic-arn.") from exc
    if options.api_key_file is None or options.topic_arn is None:
        raise BenchError("A deployed platform needs --api-key-file and --topic-arn too.")
    try:
        api_key = options.api_key_file.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise BenchError(f"The API key cannot be read: {exc}") from exc
    bucket = options.bucket or ""
    return Target(endpoint=endpoint.rstrip("/"), api_key=api_key, bucket=bucket, notice_topic_arn=options.topic_arn)


class PlatformClient:
    """Posts the tasks of a run and receives their notices; ``run`` is the prefix of their ids and the folder in S3."""

    def __init__(self, target: Target) -> None:
        self.run = f"edit-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        self._target = target
        self._s3 = target.client("s3", config=Config(signature_version="s3v4"))
        self._http = httpx.Client(headers={"x-api-key": target.api_key}, timeout=_ANSWER_TIMEOUT_S)
        self._links: dict[Path, str] = {}
        self._heard: dict[str, tuple[Notice, float]] = {}
        self._news = threading.Condition()
        self._end = ""

    def request(self, task_id: str, runtime: str, body: EditBody) -> dict[str, Any]:
        """The body of a request; all objects of the run in S3 share a prefix."""
        prefix = f"{_PREFIX}/{self.run}"
        metadata = {"id": task_id, "runtime": runtime, "tasktype": body.tasktype, "prefix": prefix}
        return {"task": {"metadata": metadata, "content": body.content}}

    def link(self, path: Path) -> str:
        """Upload a file to the output bucket once, and return a signed link to it.

        Raises:
            CaseError: The bucket is unknown or rejects the file.
        """
        if not self._target.bucket:
            raise CaseError("The template wants links; --bucket must name the output bucket.")
        where = {"Bucket": self._target.bucket, "Key": f"{_PREFIX}/{self.run}/inputs/{path.parent.name}/{path.name}"}
        if path not in self._links:
            try:
                self._s3.put_object(**where, Body=path.read_bytes())
            except AWS_ERRORS as exc:
                raise CaseError(f"{path.name} cannot be uploaded: {exc}") from exc
            self._links[path] = self._s3.generate_presigned_url("get_object", Params=where, ExpiresIn=_LINK_S)
        return self._links[path]

    def post(self, request: Mapping[str, Any]) -> None:
        """Post a request; raises CaseError if the platform does not answer or rejects it."""
        try:
            answer = self._http.post(f"{self._target.endpoint}/v1alpha2", json=request)
        except httpx.HTTPError as exc:
            raise CaseError(f"The platform does not answer: {exc!r}") from exc
        if answer.status_code != httpx.codes.OK:
            raise CaseError(f"rejected with {answer.status_code}: {answer.text[:500]}")

    def wait(self, task_id: str, timeout_s: float) -> tuple[Notice, float]:
        """Return a task's notice, and when it came on the monotonic clock; it may have come before this call.

        Raises:
            CaseError: The notice is late, the task failed, or notices cannot be read.
        """
        with self._news:
            self._news.wait_for(lambda: task_id in self._heard or self._end, timeout_s)
            if task_id not in self._heard:
                raise CaseError(self._end or f"No notice came within {timeout_s:g} seconds.")
            notice, at = self._heard.pop(task_id)
        if not notice.result:
            raise CaseError(f"{notice.error.code}: {notice.error.message}" if notice.error else notice.status)
        return notice, at

    def picture(self, notice: Notice) -> DrawnPicture:
        """Download a task's last picture (an earlier one is a preview); raises CaseError if it cannot be read."""
        if not notice.image_url:
            raise CaseError("Its notice names no picture.")
        try:
            return fetch_picture(self._s3, notice.image_url[-1])
        except (PictureError, BotoCoreError) as exc:
            raise CaseError(str(exc)) from exc

    def timings(self, notice: Notice) -> list[float | None]:
        """Seconds in the model server, and until its preview; None if the manifest has no such value."""
        manifest: Any = {}
        with suppress(ValueError, *AWS_ERRORS):
            bucket, key = split_s3_url(notice.output_url or "")
            manifest = json.loads(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        found = (jmespath.search(path, manifest) for path in ("timings_s.run", "answer.timings_s.preview"))
        return [float(value) if isinstance(value, int | float) else None for value in found]

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Receive the run's notices while the context is open."""
        with NoticeQueue(self._target) as queue:
            listener = threading.Thread(target=self._listen, args=(queue,), name="notices", daemon=True)
            listener.start()
            try:
                yield self
            finally:
                self._finish("The run has ended.")
                listener.join()

    def _listen(self, queue: NoticeQueue) -> None:
        try:
            while not self._end:
                heard = {str(notice.id): (notice, time.monotonic()) for notice in queue.receive()}
                with self._news:
                    self._heard |= {task_id: one for task_id, one in heard.items() if task_id.startswith(self.run)}
                    self._news.notify_all()
        except AWS_ERRORS as exc:
            self._finish(f"Notices cannot be read: {exc}")

    def _finish(self, why: str) -> None:
        with self._news:
            self._end = self._end or why
            self._news.notify_all()
