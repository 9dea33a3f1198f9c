"""S3 objects that are too large to be written at once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from queue_agent.aws.clients import translated
from queue_agent.errors import PlatformError
from queue_agent.uninterrupted import uninterrupted

logger = logging.getLogger(__name__)

_ABORT_S = 10


@asynccontextmanager
async def multipart_upload(
    s3: Any, bucket: str, key: str, kind: Mapping[str, Any]
) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """An object that is written part by part; yields what writes the next part.

    S3 takes parts of 5 MiB to 5 GiB; the last part may be smaller. The object exists once the context has ended without
    an error. Otherwise the parts are removed, also when the writer is cancelled; those of a killed agent are removed by
    the bucket's lifecycle rule.
    """
    target = {"Bucket": bucket, "Key": key}
    creation = asyncio.create_task(_create(s3, target, kind), name="multipart upload")
    try:
        # Shielded, and awaited by _abort: an upload that S3 has begun can be removed only by its id.
        upload_id = await asyncio.shield(creation)
        parts: list[dict[str, Any]] = []

        async def write(data: bytes) -> None:
            number = len(parts) + 1
            with translated("s3:UploadPart"):
                answer = await s3.upload_part(**target, UploadId=upload_id, PartNumber=number, Body=data)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})

        yield write
        with translated("s3:CompleteMultipartUpload"):
            await s3.complete_multipart_upload(**target, UploadId=upload_id, MultipartUpload={"Parts": parts})
    except BaseException:
        await uninterrupted(_abort(s3, target, creation))
        raise


async def _create(s3: Any, target: Mapping[str, str], kind: Mapping[str, Any]) -> str:
    with translated("s3:CreateMultipartUpload"):
        answer = await s3.create_multipart_upload(**target, **kind)
    return str(answer["UploadId"])


async def _abort(s3: Any, target: Mapping[str, str], creation: asyncio.Task[str]) -> None:
    try:
        async with asyncio.timeout(_ABORT_S):
            upload_id = await creation
            with translated("s3:AbortMultipartUpload"):
                await s3.abort_multipart_upload(**target, UploadId=upload_id)
    except (PlatformError, TimeoutError) as exc:
        logger.warning("parts of an object may be left: %s", str(exc) or "no answer in time")
