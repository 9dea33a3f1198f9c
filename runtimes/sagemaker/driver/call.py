"""Asynchronous calls, and what each leaves in the output bucket below ``_sagemaker/RUNTIME/JOB/``.

An agent writes what it is about to call before it calls, and where the result will lie as soon as the endpoint has
accepted the call; so whichever agent gets the job next looks for that result instead of calling again. Only an agent
that dies between the two leaves open whether the endpoint has the call: its result is then waited for a while before
the job is called again, which a cold endpoint may run twice.
"""

import logging
from typing import Any, Self

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from contract.objects import MISSING_CODES, s3_url, split_s3_url
from jobs.dynamodb import error_code
from queue_agent.errors import PlatformError, RetryableError, ServiceRefused
from runtimes._managed import MAX_ANSWER_BYTES, ManagedService, read_body
from runtimes.sagemaker.options import FOLDER

logger = logging.getLogger(__name__)

_MAX_NOTE_BYTES = 64 * 1024


class AsyncCall(BaseModel):
    """A call as it is noted.

    Attributes:
        job: Its job.
        claim: The job's claim that made it; its objects are named after it.
        called_s: When, in seconds since 1970.
        output: Key of the result.
        failure: Key of what the endpoint writes in place of a result; None until it has accepted the call.
        is_void: Whether the call has ended without a result, so that the job may be called again.
    """

    model_config = ConfigDict(frozen=True)

    job: str
    claim: int
    called_s: float
    output: str
    failure: str | None = None
    is_void: bool = False

    def voided(self) -> Self:
        """The same call, ended without a result."""
        return self.model_copy(update={"is_void": True})


class CallFolder:
    """The calls of one runtime in the output bucket."""

    def __init__(self, s3: ManagedService, bucket: str, runtime: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._runtime = runtime

    def extension(self, job: str) -> str:
        """S3OutputPathExtension of a job's calls."""
        return f"{self._runtime}/{job}"

    @staticmethod
    def filename(claim: int) -> str:
        """Filename of a call's result."""
        return f"{claim}.out"

    def new_call(self, job: str, claim: int, now_s: float) -> AsyncCall:
        """A call that a claim is about to make."""
        output = f"{FOLDER}{self.extension(job)}/{self.filename(claim)}"
        return AsyncCall(job=job, claim=claim, called_s=now_s, output=output)

    def accepted(self, call: AsyncCall, answer: dict[str, Any]) -> AsyncCall:
        """The call with the places that the endpoint names.

        Raises:
            ServiceRefused: The endpoint writes elsewhere.
        """
        output = self._key_of(answer.get("OutputLocation") or "", "S3OutputPath")
        failure = answer.get("FailureLocation")
        failed = self._key_of(failure, "S3FailurePath") if failure else f"{output}.failure"
        return call.model_copy(update={"output": output, "failure": failed})

    async def find(self, job: str) -> AsyncCall | None:
        """The call that an earlier claim of the job noted; None without one that may still have a result."""
        data = await self._get(self._note_key(job), _MAX_NOTE_BYTES)
        try:
            call = None if data is None else AsyncCall.model_validate_json(data)
        except ValidationError:
            return None
        return None if call is None or call.is_void else call

    async def note(self, call: AsyncCall) -> None:
        """Write a call down, in place of an earlier one of its job."""
        await self._put(self._note_key(call.job), call.model_dump_json().encode())

    async def put_input(self, call: AsyncCall, body: bytes, content_type: str) -> str:
        """Store a body that is too large for the call; returns its InputLocation."""
        key = self._input_key(call)
        await self._put(key, body, content_type)
        return s3_url(self._bucket, key)

    async def result(self, call: AsyncCall) -> bytes | None:
        """What the endpoint answered; None while it has not.

        Raises:
            ExecutionFailed: It is larger than MAX_ANSWER_BYTES.
        """
        return await self._get(call.output, MAX_ANSWER_BYTES)

    async def failure(self, call: AsyncCall) -> bytes | None:
        """Why it failed; None while it has not, or where that is unknown."""
        return await self._get(call.failure, MAX_ANSWER_BYTES) if call.failure else None

    async def remove(self, call: AsyncCall) -> None:
        """Delete everything of a call whose job is over; the bucket's lifecycle deletes what this cannot."""
        keys = [self._note_key(call.job), self._input_key(call), call.output, call.failure]
        for key in filter(None, keys):
            try:
                await self._s3.call("delete_object", Bucket=self._bucket, Key=key)
            except (ClientError, RetryableError) as exc:
                logger.debug("an object of an asynchronous call stays: %s", type(exc).__name__)

    def _note_key(self, job: str) -> str:
        return f"{FOLDER}{self.extension(job)}/call.json"

    def _input_key(self, call: AsyncCall) -> str:
        return f"{FOLDER}{self.extension(call.job)}/{call.claim}.in"

    def _key_of(self, location: str, setting: str) -> str:
        try:
            bucket, key = split_s3_url(location)
        except ValueError:
            bucket, key = "", ""
        if bucket != self._bucket:
            raise ServiceRefused(
                f"The endpoint writes to {location.rpartition('/')[0] or 'a place that it does not name'}; the "
                f"{setting} of its configuration must be {s3_url(self._bucket, FOLDER)}, where the agent looks."
            )
        return key

    async def aclose(self) -> None:
        """Close the client."""
        await self._s3.aclose()

    async def _get(self, key: str, max_bytes: int) -> bytes | None:
        try:
            answer = await self._s3.call("get_object", Bucket=self._bucket, Key=key)
            return await read_body(answer["Body"], "the endpoint", max_bytes)
        except ClientError as exc:
            if error_code(exc) in MISSING_CODES:
                return None
            raise PlatformError(f"s3:GetObject failed ({error_code(exc)}).") from exc

    async def _put(self, key: str, body: bytes, content_type: str = "application/json") -> None:
        try:
            await self._s3.call("put_object", Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)
        except ClientError as exc:
            raise PlatformError(f"s3:PutObject failed ({error_code(exc)}).") from exc
