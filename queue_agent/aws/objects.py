"""S3 objects."""

import io
from collections.abc import AsyncIterator
from typing import Any

from botocore.exceptions import ClientError

from contract.objects import TENANT_METADATA, tenant_label
from jobs.dynamodb import error_code
from queue_agent.aws.clients import translated
from queue_agent.aws.multipart import multipart_upload
from queue_agent.errors import InputError

PART_BYTES = 8 * 1024 * 1024
"""Larger objects are written in parts of this size."""

_MISSING = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchBucket"})
_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"})
_REFUSALS = range(400, 500)
_PASSING_REFUSALS = frozenset(
    {"RequestTimeout", "RequestTimeTooSkewed", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
    | {"InvalidAccessKeyId", "SignatureDoesNotMatch", "TooManyRequests", "KMS.ThrottlingException"}
    | {"Throttling", "ThrottlingException", "OperationAborted"}
)
"""These are about the agent's keys, clock or pace; all other refusals are about the object or its name."""


class S3Objects:
    """Objects by bucket and key. All calls raise PlatformError when they fail."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    async def put(self, bucket: str, key: str, data: bytes, content_type: str, *, tenant: str | None = None) -> None:
        """Write an object, marked as a tenant's if one is named."""
        if len(data) > PART_BYTES:
            await self.put_stream(bucket, key, _once(data), content_type, tenant=tenant)
            return
        # A file is sent piece by piece; bytes would be encrypted at once, while everything else waits.
        body, kind = io.BytesIO(data), _kind(content_type, tenant)
        with translated("s3:PutObject"):
            await self._s3.put_object(Bucket=bucket, Key=key, Body=body, **kind)

    async def put_packed(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write a small object that was packed by gzip."""
        kind = {"ContentType": content_type, "ContentEncoding": "gzip"}
        with translated("s3:PutObject"):
            await self._s3.put_object(Bucket=bucket, Key=key, Body=data, **kind)

    async def put_stream(
        self, bucket: str, key: str, chunks: AsyncIterator[bytes], content_type: str, *, tenant: str | None = None
    ) -> int:
        """Write an object while it is read, with at most two parts of it in memory; returns its size in bytes.

        An object whose reading or writing fails or is cancelled is not written.
        """
        parts = _in_parts(chunks)
        part = await anext(parts, b"")
        if len(part) < PART_BYTES:
            await self.put(bucket, key, part, content_type, tenant=tenant)
            return len(part)
        size_bytes = 0
        async with multipart_upload(self._s3, bucket, key, _kind(content_type, tenant)) as write:
            while part:
                size_bytes += len(part)
                await write(part)
                part = b""  # before the next one is gathered
                part = await anext(parts, b"")
        return size_bytes

    async def get(self, bucket: str, key: str, max_bytes: int, *, tenant: str | None = None) -> bytes | None:
        """Read an object; None when there is none. With a tenant, only an object that is marked as that tenant's.

        Raises:
            InputError: It is larger than ``max_bytes``, not the tenant's, may not be read, or S3 rejects its name.
        """
        with translated("s3:GetObject"):
            try:
                response = await self._s3.get_object(Bucket=bucket, Key=key)
            except ClientError as exc:
                if error_code(exc) in _MISSING:
                    return None
                if error_code(exc) in _DENIED:
                    raise InputError(f"may not be read from bucket {bucket}") from exc
                if _is_about_the_object(exc):
                    raise InputError(f"cannot be read from bucket {bucket} (S3 says {error_code(exc)})") from exc
                raise
            async with response["Body"] as body:
                if not _metadata(tenant).items() <= response["Metadata"].items():
                    raise InputError(f"points to an object in bucket {bucket} that is not a result of the same API key")
                if response["ContentLength"] > max_bytes:
                    raise InputError(f"is larger than {max_bytes} bytes")
                data: bytes = await body.read()
                return data


def _is_about_the_object(error: ClientError) -> bool:
    """Whether S3 would answer the same again, for example of a key that is too long or an object that is archived."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in _REFUSALS and error_code(error) not in _PASSING_REFUSALS


def _metadata(tenant: str | None) -> dict[str, str]:
    return {} if tenant is None else {TENANT_METADATA: tenant_label(tenant)}


def _kind(content_type: str, tenant: str | None) -> dict[str, Any]:
    return {"ContentType": content_type, "Metadata": _metadata(tenant)}


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _in_parts(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join and cut chunks to PART_BYTES; the last part may be smaller."""
    held: list[bytes] = []
    size = 0
    async for chunk in chunks:
        rest = memoryview(chunk)
        while size + len(rest) >= PART_BYTES:
            cut = PART_BYTES - size
            held.append(bytes(rest[:cut]))
            rest, size = rest[cut:], 0
            yield _joined(held)
        if rest:
            held.append(bytes(rest) if len(rest) < len(chunk) else chunk)
            size += len(rest)
    if held:
        yield _joined(held)


def _joined(held: list[bytes]) -> bytes:
    data = held[0] if len(held) == 1 else b"".join(held)
    held.clear()
    return data
