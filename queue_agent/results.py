"""What a job leaves in the output bucket: its pictures, and the manifest that lists them."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract import strict_json
from contract.field_errors import shown
from contract.notice import JobError, Notice
from contract.objects import s3_url
from jobs.job import StoredOutput
from queue_agent.aws.objects import S3Objects
from queue_agent.errors import AgentError, ExecutionFailed, InputError, RetryableError, ServerError, TaskError
from queue_agent.job_context import JobContext
from queue_agent.media import HEAD_BYTES, Media, identify, is_what_it_is_called, named_media, picture_size
from queue_agent.ports import Output, Result

logger = logging.getLogger(__name__)

MAX_MANIFEST_BYTES = 32 * 1024 * 1024
AT_ONCE = 4
"""Pictures of all jobs that are stored at once: each may hold two parts of a large file in memory."""

_MAX_NAME_CHARS = 255
_BASE64 = re.compile(r"(data:[^,]{0,100};base64,)?[A-Za-z0-9+/=_-]{1000,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The results of one runtime's jobs, in the output bucket."""

    bucket: str
    runtime_name: str
    s3: S3Objects
    _at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def find(self, job: JobContext) -> Notice | None:
        """The notice of a job whose results are already stored; None where they are not, or of an earlier redrive."""
        try:
            data = await self.s3.get(self.bucket, job.names.answer_key, MAX_MANIFEST_BYTES)
            manifest = None if data is None else await asyncio.to_thread(strict_json.loads, data, max_values=None)
            if manifest is None or (manifest["job"], manifest.get("generation", 0)) != (job.id, job.redrives):
                return None
            return self._notice(job, manifest)
        except (InputError, ValueError, KeyError, TypeError, AttributeError):
            # Foreign or corrupt manifest, or a 403 that means 404 (no s3:ListBucket).
            return None

    async def store(self, job: JobContext, result: Result) -> Notice:
        """Store the pictures, then the manifest: only with it do they count. Each picture is tried twice."""
        start_s = time.monotonic()
        pictures = await self._store_pictures(job, result.outputs)
        timings_s = {**job.timings_s, "store": round(time.monotonic() - start_s, 3)}
        return await self._write_manifest(
            job,
            {
                "status": "succeeded",
                "image_url": [picture["url"] for picture in pictures],
                "pictures": pictures,
                "model": result.model,
                "timings_s": timings_s,
                "parameters": await asyncio.to_thread(without_bytes, result.parameters),
                "answer": await asyncio.to_thread(without_bytes, result.answer),
            },
        )

    async def _store_pictures(self, job: JobContext, outputs: Sequence[Output]) -> list[dict[str, Any]]:
        """Store all pictures side by side; when one fails, the others are cancelled. Returns their manifest entries."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._store_picture(job, number, output), name="picture")
                    for number, output in enumerate(outputs, start=1)
                ]
        except ExceptionGroup as exc:
            raise exc.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _store_picture(self, job: JobContext, number: int, output: Output) -> dict[str, Any]:
        async with self._at_once:
            try:
                return await self._write_picture(job, number, output, again=False)
            except RetryableError as exc:
                # Reading it again costs less than drawing it again.
                logger.warning("a picture is stored in a second try: %s", exc)
                return await self._write_picture(job, number, output, again=True)

    async def _write_picture(self, job: JobContext, number: int, output: Output, *, again: bool) -> dict[str, Any]:
        if isinstance(output.content, bytes):
            media, size_bytes = _media_of(output, output.content, again=again), len(output.content)
            key = job.names.picture_key(number, media.extension)
            await self.s3.put(self.bucket, key, output.content, media.content_type, tenant=job.tenant)
        else:
            async with output.content() as chunks:
                head = await _head_of(chunks)
                media = _media_of(output, head, again=again)
                key = job.names.picture_key(number, media.extension)
                whole = _joined(head, chunks)
                size_bytes = await self.s3.put_stream(self.bucket, key, whole, media.content_type, tenant=job.tenant)
        size = picture_size(media)
        return {
            "url": s3_url(self.bucket, key),
            "seed": output.seed,
            **({} if output.filename is None else {"filename": output.filename}),
            "content_type": media.content_type,
            "size_bytes": size_bytes,
            **({} if size is None else {"width": size[0], "height": size[1]}),
        }

    async def store_error(self, job: JobContext, error: AgentError) -> Notice:
        """Store why a job failed."""
        status = error.status if isinstance(error, TaskError) else "failed"
        entry = {"code": error.code, "message": str(error)}
        return await self._write_manifest(job, {"status": status, "image_url": [], "error": entry})

    async def _write_manifest(self, job: JobContext, ending: dict[str, Any]) -> Notice:
        manifest = {
            "id": job.task.metadata.id,
            "job": job.id,
            "generation": job.redrives,
            "runtime": self.runtime_name,
            "tasktype": job.task.metadata.tasktype,
            **ending,
        }
        data = (await asyncio.to_thread(strict_json.dumps, manifest)).encode()
        await self.s3.put(self.bucket, job.names.answer_key, data, "application/json", tenant=job.tenant)
        return self._notice(job, manifest)

    def _notice(self, job: JobContext, manifest: dict[str, Any]) -> Notice:
        """The notice of what a manifest says; notes the job's outputs."""
        error = manifest.get("error")
        job.outputs = _outputs_in(manifest)
        return Notice(
            id=job.task.metadata.id,
            result=manifest["status"] == "succeeded",
            image_url=manifest["image_url"],
            output_url=s3_url(self.bucket, job.names.answer_key),
            context=job.task.metadata.context,
            job=job.id,
            runtime=self.runtime_name,
            status=manifest["status"],
            error=JobError.model_validate(error) if error else None,
            tenant=job.tenant,
            has_webhook=job.has_webhook,
        )


def _outputs_in(manifest: dict[str, Any]) -> tuple[StoredOutput, ...]:
    """What each picture is; none where an earlier version wrote less of them."""
    try:
        return tuple(
            StoredOutput.model_validate({**picture, "name": _short_name(picture.get("filename"))})
            for picture in manifest.get("pictures", ())
        )
    except (ValueError, TypeError, AttributeError):
        return ()


def _short_name(filename: str | None) -> str | None:
    return filename and filename[:_MAX_NAME_CHARS].encode(errors="replace").decode()


def _media_of(output: Output, head: bytes, *, again: bool) -> Media:
    media = identify(head, output.filename)
    if output.filename is None or is_what_it_is_called(media, output.filename):
        return media
    if named := named_media(head, output.filename):
        return named
    words = f"The model server returned a file that is not what its name says: {shown(output.filename)} holds"
    if not head:
        raise ServerError(f"{words} nothing.")
    # What it returns twice is what the job saved, and would save in every further attempt.
    raise (ExecutionFailed if again else ServerError)(f"{words} no image, video or audio.")


async def _head_of(chunks: AsyncIterator[bytes]) -> bytes:
    """Read enough to identify the type, or all there is."""
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk


def without_bytes(value: Any) -> Any:
    """A copy of some JSON with its length in place of long base64: the manifest holds no pictures."""
    if isinstance(value, dict):
        return {key: without_bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_bytes(item) for item in value]
    if isinstance(value, str) and _BASE64.fullmatch(value):
        return f"<{len(value)} characters of base64>"
    return value
