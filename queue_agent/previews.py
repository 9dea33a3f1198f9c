"""Previews of the unfinished picture of a running job.

Each job has one object in the output bucket, which the bucket's lifecycle removes. At one PutObject every 2 s, a minute
of a job costs 0.015 cents (us-east-1, 2026).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from contract.objects import preview_key
from queue_agent.aws.objects import S3Objects
from queue_agent.errors import AgentError
from queue_agent.job_context import JobContext
from queue_agent.media import identify
from queue_agent.ports import MAX_PREVIEW_BYTES, Supervised

logger = logging.getLogger(__name__)

_EVERY_S = 2.0
_STORING_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Previews:
    """Stores the model server's previews of jobs whose tasks ask for them."""

    server: Supervised
    store: S3Objects
    bucket: str

    @asynccontextmanager
    async def kept(self, job: JobContext) -> AsyncIterator[None]:
        """Store a job's previews while the context lasts, the first after 2 s. A failure never fails the job."""
        if "preview" not in (job.task.metadata.keep or ()):
            yield
            return
        keeping = asyncio.create_task(self._keep(job), name="previews")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    async def _keep(self, job: JobContext) -> None:
        before, warned = b"", False
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                async with asyncio.timeout(_STORING_S):
                    preview = await self.server.preview(job.id) or before
                    if preview != before:
                        before = preview
                        await self._store(job, preview)
            except Exception as exc:
                is_bug = not isinstance(exc, AgentError | TimeoutError)
                level = logging.DEBUG if warned else logging.WARNING
                words = str(exc) or "no answer in time"
                logger.log(level, "a preview was not stored: %s", words, exc_info=is_bug and not warned)
                warned = True

    async def _store(self, job: JobContext, preview: bytes) -> None:
        media = identify(preview)
        if media.kind != "image" or len(preview) > MAX_PREVIEW_BYTES:
            logger.debug("a preview is no picture, or too large", extra={"size_bytes": len(preview)})
            return
        await self.store.put(self.bucket, preview_key(job.id), preview, media.content_type, tenant=job.tenant)
        job.previewed_s = round(time.time(), 3)
