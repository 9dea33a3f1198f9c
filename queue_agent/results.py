"""What a job leaves in the output bucket: its pictures, and the manifest that names them."""

import asyncio
import re
import time
from typing import Any

from contract import strict_json
from contract.notice import Notice, Problem
from contract.objects import s3_url
from queue_agent.errors import AgentError, InputFault, TaskFault
from queue_agent.media import identify
from queue_agent.message import Assignment
from queue_agent.ports import ObjectStore, Result

MAX_MANIFEST_BYTES = 32 * 1024 * 1024

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

    async def find(self, assignment: Assignment) -> Notice | None:
        """The notice of a job that has already ended in its present generation; None if it has not."""
        try:
            data = await self._store.get(self._bucket, assignment.names.answer_key, MAX_MANIFEST_BYTES)
            manifest = None if data is None else strict_json.loads(data)
            if manifest is None or manifest.get("generation", 0) != assignment.generation:
                return None
            return self._notice(assignment, manifest)
        except (InputFault, ValueError, KeyError, TypeError, AttributeError):
            # Not this code's writing, or S3 hides from a role without s3:ListBucket that it is not there.
            return None

    async def store(self, assignment: Assignment, result: Result, timings_s: dict[str, float]) -> Notice:
        """Store pictures, then the manifest that makes them count.

        Args:
            assignment: The job.
            result: What the model server gave.
            timings_s: Seconds of each stage so far.
        """
        pictures = []
        uploads = []
        for number, output in enumerate(result.outputs, start=1):
            media = identify(output.data)
            key = assignment.names.picture_key(number, media.extension)
            uploads.append(self._store.put(self._bucket, key, media.data, media.content_type))
            pictures.append(
                {
                    "url": s3_url(self._bucket, key),
                    "seed": output.seed,
                    "content_type": media.content_type,
                    "size_bytes": len(media.data),
                }
            )
        start_s = time.monotonic()
        await asyncio.gather(*uploads)
        timings_s = {**timings_s, "store": round(time.monotonic() - start_s, 3)}
        return await self._write_manifest(
            assignment,
            {
                "status": "succeeded",
                "image_url": [picture["url"] for picture in pictures],
                "pictures": pictures,
                "model": result.model,
                "timings_s": timings_s,
                "parameters": without_bytes(result.parameters),
                "answer": without_bytes(result.answer),
            },
        )

    async def store_failure(self, assignment: Assignment, fault: AgentError) -> Notice:
        """Store why a job failed."""
        error = {"code": fault.code, "message": str(fault)}
        status = fault.status if isinstance(fault, TaskFault) else "failed"
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
        data = strict_json.dumps(manifest).encode()
        await self._store.put(self._bucket, assignment.names.answer_key, data, "application/json")
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
            error=Problem.model_validate(error) if error else None,
        )


def without_bytes(value: Any) -> Any:
    """Copy some JSON with long base64 replaced by its length: the manifest holds no pictures."""
    if isinstance(value, dict):
        return {key: without_bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_bytes(item) for item in value]
    if isinstance(value, str) and _BASE64.fullmatch(value):
        return f"<{len(value)} characters of base64>"
    return value
