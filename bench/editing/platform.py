"""The platform under test, as a client sees it."""

import json
import os
import secrets
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bench.editing.cases import BenchError, Body
from bench.editing.contents import ContentError
from contract.objects import split_s3_url
from deploy.verify.errors import VerifyError
from deploy.verify.pictures import Picture, PictureError, fetch_picture
from deploy.verify.target import Target, enter_local_stack, local_target

PREFIX = "bench"
"""First part of the names in S3 of all that a run makes."""

_LINK_S = 24 * 3600
_ANSWER_TIMEOUT_S = 35.0
"""API Gateway answers after 29 seconds at the latest."""
_MAX_WORDS = 500


class TaskError(Exception):
    """A task got no picture; the message says why."""


def find_target(
    *, stack_file: Path, endpoint: str | None, api_key_file: Path | None, topic_arn: str | None, bucket: str | None
) -> Target:
    """Find the platform by its addresses, or without an endpoint by a running local platform's stack.json.

    Raises:
        BenchError: Addresses are missing, or no local platform runs.
    """
    if endpoint is None:
        try:
            os.environ["STACK_FILE"] = str(stack_file)
            return local_target(enter_local_stack(os.environ))
        except VerifyError as exc:
            raise BenchError(f"{exc} Or name one: --endpoint, --api-key-file and --topic-arn.") from exc
    if api_key_file is None or topic_arn is None:
        raise BenchError("With --endpoint, --api-key-file and --topic-arn are needed too.")
    try:
        api_key = api_key_file.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise BenchError(f"The API key cannot be read: {exc}") from exc
    return Target(endpoint=endpoint.rstrip("/"), api_key=api_key, bucket=bucket or "", notice_topic_arn=topic_arn)


def new_run_id() -> str:
    """A name for a run that no other has."""
    return f"edit-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def task_body(task_id: str, runtime: str, body: Body, run: str) -> dict[str, Any]:
    """A request of API v1alpha2; everything of a run lies under one prefix in S3."""
    metadata = {"id": task_id, "runtime": runtime, "tasktype": body.tasktype, "prefix": f"{PREFIX}/{run}"}
    return {"task": {"metadata": metadata, "content": body.content}}


class Platform:
    """Posts tasks, and gets what they left in S3.

    Args:
        target: Where it is.
        run: Everything in S3 lies in a folder of this name.
    """

    def __init__(self, target: Target, run: str) -> None:
        self._run = run
        self._target = target
        self._s3 = target.client("s3", config=Config(signature_version="s3v4"))
        self._http = httpx.Client(headers={"x-api-key": target.api_key}, timeout=_ANSWER_TIMEOUT_S)
        self._links: dict[Path, str] = {}
        self._uploading = threading.Lock()

    def link(self, path: Path) -> str:
        """Lay a file in the output bucket, once, and give its link.

        Raises:
            ContentError: The bucket is not known, or does not take it.
        """
        if not self._target.bucket:
            raise ContentError("The template wants links; --bucket must name the output bucket.")
        with self._uploading:
            if path not in self._links:
                self._links[path] = self._upload(path)
            return self._links[path]

    def post(self, body: Mapping[str, Any]) -> None:
        """Post a request.

        Raises:
            TaskError: The platform does not answer, or refuses it.
        """
        try:
            answer = self._http.post(f"{self._target.endpoint}/v1alpha2", json=body)
        except httpx.HTTPError as exc:
            raise TaskError(f"The platform does not answer: {exc!r}") from exc
        if answer.status_code != httpx.codes.OK:
            raise TaskError(f"refused with {answer.status_code}: {answer.text[:_MAX_WORDS]}")

    def fetch(self, url: str) -> Picture:
        """Get a picture.

        Raises:
            TaskError: It is not there, or is none.
        """
        try:
            return fetch_picture(self._s3, url)
        except (PictureError, BotoCoreError) as exc:
            raise TaskError(str(exc)) from exc

    def manifest(self, url: str) -> dict[str, Any]:
        """Get what the runtime told of a task; empty where that cannot be read: figures are then missing."""
        try:
            bucket, key = split_s3_url(url)
            manifest = json.loads(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except (ValueError, ClientError, BotoCoreError):
            return {}
        return manifest if isinstance(manifest, dict) else {}

    def _upload(self, path: Path) -> str:
        key = f"{PREFIX}/{self._run}/inputs/{path.parent.name}/{path.name}"
        try:
            self._s3.put_object(Bucket=self._target.bucket, Key=key, Body=path.read_bytes())
        except (ClientError, BotoCoreError) as exc:
            raise ContentError(f"{path.name} cannot be laid in the bucket: {exc}") from exc
        where = {"Bucket": self._target.bucket, "Key": key}
        return str(self._s3.generate_presigned_url("get_object", Params=where, ExpiresIn=_LINK_S))
