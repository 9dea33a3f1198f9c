"""What a job leaves in the output bucket: its pictures, and the manifest that names them."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from contract import strict_json
from contract.field_errors import shown
from contract.notice import JobError, Notice
from contract.objects import s3_url
from queue_agent.errors import AgentError, ExecutionFailed, InputError, RetryableError, ServerError, TaskError
from queue_agent.media import HEAD_BYTES, Media, identify, is_what_it_is_called, named_media
from queue_agent.message import Assignment
from queue_agent.ports import ObjectStore, Output, Result

logger = logging.getLogger(__name__)

MAX_MANIFEST_BYTES = 32 * 1024 * 1024
AT_ONCE = 4
"""Pictures that are stored side by side, those of all jobs together: each may hold two parts of a large file."""

_BASE64 = re.compile(r"(data:[^,]{0,100};base64,)?[A-Za-z0-9+/=_-]{1000,}")


class Results:
    """The results of jobs in one bucket.

    Args:
        store: S3.
        bucket: The output bucket.
        runtime_name: The runtime that makes them.
    """

    def __init__(self, store: ObjectStore, *, bucket: str, runtime_name: str) -> None:
        self._store = store
        self._bucket = bucket
        self._runtime_name = runtime_name
        self._places = asyncio.Semaphore(AT_ONCE)

    async def find(self, assignment: Assignment) -> Notice | None:
        """The notice of a job that has already ended in its present generation; None if it has not."""
        try:
            data = await self._store.get(self._bucket, assignment.names.answer_key, MAX_MANIFEST_BYTES)
            manifest = None if data is None else await asyncio.to_thread(strict_json.loads, data, max_values=None)
            if manifest is None or manifest["job"] != assignment.job:
                return None
            if manifest.get("generation", 0) != assignment.generation:
                return None
            return self._notice(assignment, manifest)
        except (InputError, ValueError, KeyError, TypeError, AttributeError):
            # Not this code's writing, or S3 hides from a role without s3:ListBucket that it is not there.
            return None

    async def store(self, assignment: Assignment, result: Result, timings_s: dict[str, float]) -> Notice:
        """Store pictures, then the manifest that makes them count.

        Args:
            assignment: The job.
            result: What the model server gave.
            timings_s: Seconds of each stage so far.

        Raises:
            ServerError: A picture could not be read from the model server, in two tries.
            PlatformError: S3 does not take one of them, in two tries, or the manifest.
        """
        start_s = time.monotonic()
        pictures = await self._store_pictures(assignment, result.outputs)
        timings_s = {**timings_s, "store": round(time.monotonic() - start_s, 3)}
        return await self._write_manifest(
            assignment,
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

    async def _store_pictures(self, assignment: Assignment, outputs: Sequence[Output]) -> list[dict[str, Any]]:
        """Store all pictures side by side, the rest of them given up when one fails; gives their manifest entries."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._store_picture(assignment, number, output), name="picture")
                    for number, output in enumerate(outputs, start=1)
                ]
        except ExceptionGroup as exc:
            raise exc.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _store_picture(self, assignment: Assignment, number: int, output: Output) -> dict[str, Any]:
        async with self._places:
            try:
                return await self._write_picture(assignment, number, output, again=False)
            except RetryableError as exc:
                # To read it again costs less than to draw it again.
                logger.warning("a picture is stored in a second try: %s", exc)
                return await self._write_picture(assignment, number, output, again=True)

    async def _write_picture(
        self, assignment: Assignment, number: int, output: Output, *, again: bool
    ) -> dict[str, Any]:
        if isinstance(output.content, bytes):
            media, size_bytes = _media_of(output, output.content, again=again), len(output.content)
            key = assignment.names.picture_key(number, media.extension)
            await self._store.put(self._bucket, key, output.content, media.content_type, tenant=assignment.tenant)
        else:
            async with output.content() as chunks:
                head = await _head_of(chunks)
                media = _media_of(output, head, again=again)
                key = assignment.names.picture_key(number, media.extension)
                whole = _joined(head, chunks)
                size_bytes = await self._store.put_stream(
                    self._bucket, key, whole, media.content_type, tenant=assignment.tenant
                )
        return {
            "url": s3_url(self._bucket, key),
            "seed": output.seed,
            **({} if output.filename is None else {"filename": output.filename}),
            "content_type": media.content_type,
            "size_bytes": size_bytes,
        }

    async def store_failure(self, assignment: Assignment, fault: AgentError) -> Notice:
        """Store why a job failed."""
        error = {"code": fault.code, "message": str(fault)}
        status = fault.status if isinstance(fault, TaskError) else "failed"
        return await self._write_manifest(assignment, {"status": status, "image_url": [], "error": error})

    async def _write_manifest(self, assignment: Assignment, ending: dict[str, Any]) -> Notice:
        manifest = {
            "id": assignment.task.metadata.id,
            "job": assignment.job,
            "generation": assignment.generation,
            "runtime": self._runtime_name,
            "tasktype": assignment.task.metadata.tasktype,
            **ending,
        }
        data = (await asyncio.to_thread(strict_json.dumps, manifest)).encode()
        await self._store.put(
            self._bucket, assignment.names.answer_key, data, "application/json", tenant=assignment.tenant
        )
        return self._notice(assignment, manifest)

    def _notice(self, assignment: Assignment, manifest: dict[str, Any]) -> Notice:
        error = manifest.get("error")
        return Notice(
            id=assignment.task.metadata.id,
            result=manifest["status"] == "succeeded",
            image_url=manifest["image_url"],
            output_url=s3_url(self._bucket, assignment.names.answer_key),
            context=assignment.task.metadata.context,
            job=assignment.job,
            runtime=self._runtime_name,
            status=manifest["status"],
            error=JobError.model_validate(error) if error else None,
            tenant=assignment.tenant,
        )


def _media_of(output: Output, head: bytes, *, again: bool) -> Media:
    media = identify(head, output.filename)
    if output.filename is None or is_what_it_is_called(media, output.filename):
        return media
    if named := named_media(head, output.filename):
        return named
    words = f"The model server gives a file that is not what its name says: {shown(output.filename)} holds"
    if not head:
        raise ServerError(f"{words} nothing.")
    # What it gives twice is what the job has saved, and would save in every further attempt.
    raise (ExecutionFailed if again else ServerError)(f"{words} no image, video or audio.")


async def _head_of(chunks: AsyncIterator[bytes]) -> bytes:
    """Read as much as tells the type, or all there is."""
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
    """Copy some JSON with long base64 replaced by its length: the manifest holds no pictures."""
    if isinstance(value, dict):
        return {key: without_bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_bytes(item) for item in value]
    if isinstance(value, str) and _BASE64.fullmatch(value):
        return f"<{len(value)} characters of base64>"
    return value
