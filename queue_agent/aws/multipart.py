"""S3 objects that are too large to be written at once."""

import asyncio
import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from queue_agent.aws.clients import translated
from queue_agent.errors import PlatformError
from queue_agent.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)

_ABORT_S = 10


class MultipartUpload:
    """An object that is written part by part; an async context manager.

    The object exists once the context has ended without an error. Otherwise the parts are removed, also when the writer
    is cancelled; those of a killed agent are removed by the bucket's lifecycle rule.

    Args:
        s3: The client.
        bucket: The bucket.
        key: The object's key.
        kind: The object's ContentType and Metadata.

    Attributes:
        size_bytes: How much has been written.
    """

    def __init__(self, s3: Any, bucket: str, key: str, kind: Mapping[str, Any]) -> None:
        self.size_bytes = 0
        self._s3 = s3
        self._target = {"Bucket": bucket, "Key": key}
        self._kind = kind
        self._creation: asyncio.Task[str] | None = None
        self._parts: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            await uninterrupted(self._abort())
            return
        try:
            await self._complete()
        except BaseException:
            await uninterrupted(self._abort())
            raise

    async def add(self, data: bytes) -> None:
        """Write the next part.

        Args:
            data: S3 takes 5 MiB to 5 GiB; the last part may be smaller.

        Raises:
            PlatformError: S3 does not take it.
        """
        upload_id = await self._begun()
        number = len(self._parts) + 1
        with translated("s3:UploadPart"):
            answer = await self._s3.upload_part(**self._target, UploadId=upload_id, PartNumber=number, Body=data)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self.size_bytes += len(data)

    async def _begun(self) -> str:
        if self._creation is None:
            self._creation = asyncio.create_task(self._create(), name="multipart upload")
        # Shielded, and awaited by _abort: an upload that S3 has begun can be removed only by its id.
        return await asyncio.shield(self._creation)

    async def _create(self) -> str:
        with translated("s3:CreateMultipartUpload"):
            answer = await self._s3.create_multipart_upload(**self._target, **self._kind)
        return str(answer["UploadId"])

    async def _complete(self) -> None:
        upload_id = await self._begun()
        parts = {"Parts": self._parts}
        with translated("s3:CompleteMultipartUpload"):
            await self._s3.complete_multipart_upload(**self._target, UploadId=upload_id, MultipartUpload=parts)

    async def _abort(self) -> None:
        if self._creation is None:
            return
        try:
            async with asyncio.timeout(_ABORT_S):
                upload_id = await self._creation
                with translated("s3:AbortMultipartUpload"):
                    await self._s3.abort_multipart_upload(**self._target, UploadId=upload_id)
        except (PlatformError, TimeoutError) as exc:
            logger.warning("parts of an object may be left: %s", str(exc) or "no answer in time")
