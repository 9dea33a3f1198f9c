"""The files of a model bucket. A file's checksum is its tag, written only once it has been verified."""

import hashlib
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from deploy.console import Advance, progress_bar
from deploy.errors import DeployError
from deploy.models.multipart import PART_BYTES, Multipart
from deploy.models.sources import Source
from deploy.refusals import error_code

CHECKSUM_TAG = "sha256"
_CHUNK_BYTES = 1 << 20
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


class ModelLibrary:
    """Puts files into a model bucket, and never one over another.

    Args:
        s3: A boto3 client.
        bucket: The bucket.
        part_bytes: Size of the parts in which files are sent.
    """

    def __init__(self, s3: Any, bucket: str, *, part_bytes: int = PART_BYTES) -> None:
        self._s3 = s3
        self.bucket = bucket
        self._part_bytes = part_bytes

    def has(self, key: str) -> bool:
        """Whether there is a file, whatever is in it."""
        try:
            self._s3.head_object(Bucket=self.bucket, Key=key)
        except ClientError as exc:
            if error_code(exc) in _ABSENT:
                return False
            raise
        return True

    def checksum(self, key: str) -> str:
        """SHA-256 of a file that is there; one without the tag is read as a whole, and tagged."""
        tags = self._s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        known = next((tag["Value"] for tag in tags if tag["Key"] == CHECKSUM_TAG), None)
        if known is not None:
            return str(known)
        digest = hashlib.sha256()
        for chunk in self._read(key):
            digest.update(chunk)
        self._tag(key, digest.hexdigest(), tags)
        return digest.hexdigest()

    def holds(self, key: str, sha256: str) -> bool:
        """Whether the file with that checksum is there.

        Raises:
            DeployError: Another file has that key.
        """
        if not self.has(key):
            return False
        if self.checksum(key) != sha256:
            raise DeployError(
                f"s3://{self.bucket}/{key} is there already, with another content.",
                "A new file needs a new name: running pods keep what they have read under the old one.",
            )
        return True

    def store(self, source: Source, key: str, *, sha256: str | None = None) -> bool:
        """Put a file there, unless the very same one is there.

        Args:
            source: Its bytes.
            key: Its key.
            sha256: Its checksum, where it is known.

        Returns:
            Whether it was not there.

        Raises:
            DeployError: Another file has that key, or the bytes are not those of the checksum.
        """
        if self.has(key):
            return not self.holds(key, sha256 or _checksum_of(source))
        upload = Multipart(self._s3, bucket=self.bucket, key=key, part_bytes=self._part_bytes)
        digest = hashlib.sha256()
        with progress_bar(source.name) as advance:
            parts = list(upload.send(_hashed(source, digest, advance)))
        if sha256 is not None and digest.hexdigest() != sha256:
            upload.abort()
            raise DeployError(
                f"{source.name} has the checksum {digest.hexdigest()}, not {sha256}; it was not stored.",
                "The source gives another file than it should: do not use it. Upload the right one by hand.",
            )
        upload.complete(parts)
        self._tag(key, digest.hexdigest(), [])
        return True

    def _read(self, key: str) -> Iterator[bytes]:
        answer = self._s3.get_object(Bucket=self.bucket, Key=key)
        done = 0
        with progress_bar(f"verify {key}") as advance:
            for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                yield chunk
                done += len(chunk)
                advance(done, answer["ContentLength"])

    def _tag(self, key: str, sha256: str, others: list[dict[str, str]]) -> None:
        tags = [*others, {"Key": CHECKSUM_TAG, "Value": sha256}]
        self._s3.put_object_tagging(Bucket=self.bucket, Key=key, Tagging={"TagSet": tags})


def _hashed(source: Source, digest: Any, advance: Advance) -> Iterator[bytes]:
    done = 0
    for chunk in source.chunks():
        digest.update(chunk)
        yield chunk
        done += len(chunk)
        advance(done, source.total_bytes)


def _checksum_of(source: Source) -> str:
    digest = hashlib.sha256()
    for chunk in source.chunks():
        digest.update(chunk)
    return digest.hexdigest()
