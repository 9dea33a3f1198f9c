"""S3 objects."""

import io
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

from botocore.exceptions import ClientError

from contract.objects import TENANT_METADATA, tenant_label
from queue_agent.aws.clients import error_code, translated
from queue_agent.aws.multipart import MultipartUpload
from queue_agent.aws.quick_calls import QuickCalls
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
"""These speak of the agent's keys, clock or pace; all other refusals speak of the object or its name."""


class S3Objects:
    """Objects by bucket and key."""

    def __init__(self, s3: QuickCalls) -> None:
        self._s3 = s3

    async def put(self, bucket: str, key: str, data: bytes, content_type: str, *, tenant: str | None = None) -> None:
        """Write an object, for a tenant if it is one's.

        Raises:
            PlatformError: S3 does not take it; there is no such object, or the one before.
        """
        if len(data) > PART_BYTES:
            await self.put_stream(bucket, key, _once(data), content_type, tenant=tenant)
            return
        metadata = _metadata(tenant)
        with translated("s3:PutObject"):
            headers, body = {"Content-Type": content_type, **_headers(metadata)}, io.BytesIO(data)
            if await self._s3.answer("PUT", self._url(bucket, key), headers, body) is None:
                await self._s3.client.put_object(
                    Bucket=bucket, Key=key, Body=data, ContentType=content_type, Metadata=metadata
                )

    async def put_stream(
        self, bucket: str, key: str, chunks: AsyncIterator[bytes], content_type: str, *, tenant: str | None = None
    ) -> int:
        """Write an object while it is read; returns its size in bytes.

        No more than two parts are in memory. What fails or is cancelled while it is read or written leaves nothing.

        Raises:
            PlatformError: S3 does not take it; there is no such object, or the one before.
        """
        parts = _in_parts(chunks)
        part = await anext(parts, b"")
        if len(part) < PART_BYTES:
            await self.put(bucket, key, part, content_type, tenant=tenant)
            return len(part)
        kind = {"ContentType": content_type, "Metadata": _metadata(tenant)}
        async with MultipartUpload(self._s3.client, bucket, key, kind) as upload:
            while part:
                await upload.add(part)
                part = b""  # before the next one is gathered
                part = await anext(parts, b"")
        return upload.size_bytes

    async def get(self, bucket: str, key: str, max_bytes: int, *, tenant: str | None = None) -> bytes | None:
        """Read an object; None when there is none.

        Args:
            bucket: The bucket.
            key: The object's key.
            max_bytes: The most that is read.
            tenant: Whose it must be; None reads whatever is there.

        Raises:
            InputError: It is larger than ``max_bytes``, not the tenant's, may not be read, or S3 has no such name.
            PlatformError: S3 does not answer.
        """
        metadata = _metadata(tenant)
        with translated("s3:GetObject"):
            data = await self._s3.answer(
                "GET", self._url(bucket, key), {}, max_bytes=max_bytes, required=_headers(metadata)
            )
            return await self._get(bucket, key, max_bytes, metadata) if data is None else data

    async def _get(self, bucket: str, key: str, max_bytes: int, metadata: Mapping[str, str]) -> bytes | None:
        try:
            response = await self._s3.client.get_object(Bucket=bucket, Key=key)
        except ClientError as exc:
            if error_code(exc) in _MISSING:
                return None
            if error_code(exc) in _DENIED:
                raise InputError(f"may not be read from bucket {bucket}") from exc
            if _is_about_the_object(exc):
                raise InputError(f"cannot be read from bucket {bucket} (S3 says {error_code(exc)})") from exc
            raise
        async with response["Body"] as body:
            if not metadata.items() <= response["Metadata"].items():
                raise InputError(f"points to an object in bucket {bucket} that is not a result of the same API key")
            if response["ContentLength"] > max_bytes:
                raise InputError(f"is larger than {max_bytes} bytes")
            data: bytes = await body.read()
            return data

    def _url(self, bucket: str, key: str) -> str:
        """Where an object is: its bucket before the service's name, if a certificate for that name covers it.

        So does the library for all names that S3 gives today; old ones with capitals it finds after a first miss.
        """
        scheme, _, host = self._s3.endpoint_url.partition("://")
        path = quote(key, safe="/~")
        if scheme == "https" and "." not in bucket:
            return f"https://{bucket}.{host}/{path}"
        return f"{scheme}://{host}/{bucket}/{path}"


def _is_about_the_object(error: ClientError) -> bool:
    """Whether S3 would say the same again, as of a key that is too long or an object that is archived."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in _REFUSALS and error_code(error) not in _PASSING_REFUSALS


def _metadata(tenant: str | None) -> dict[str, str]:
    return {} if tenant is None else {TENANT_METADATA: tenant_label(tenant)}


def _headers(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"x-amz-meta-{name}": value for name, value in metadata.items()}


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
