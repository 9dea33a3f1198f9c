"""S3 objects."""

from typing import Any

from botocore.exceptions import ClientError

from queue_agent.aws.clients import error_code, translated
from queue_agent.errors import InputFault

_MISSING = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchBucket"})
_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"})


class S3Objects:
    """Objects by bucket and key."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    async def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write an object."""
        with translated("s3:PutObject"):
            await self._s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes | None:
        """Read an object; None when there is none.

        Raises:
            InputFault: It is larger than ``max_bytes``, or may not be read.
            PlatformFault: S3 does not answer.
        """
        with translated("s3:GetObject"):
            try:
                response = await self._s3.get_object(Bucket=bucket, Key=key)
            except ClientError as exc:
                if error_code(exc) in _MISSING:
                    return None
                if error_code(exc) in _DENIED:
                    raise InputFault(f"may not be read from bucket {bucket}") from exc
                raise
            async with response["Body"] as body:
                if response["ContentLength"] > max_bytes:
                    raise InputFault(f"is larger than {max_bytes} bytes")
                data: bytes = await body.read()
                return data
