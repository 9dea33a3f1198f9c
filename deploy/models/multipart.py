"""One object's upload in parts, which a later run takes up where an earlier one ended."""

import hashlib
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

PART_BYTES = 32 << 20
"""S3 takes 10,000 parts of an object, so that this reaches to 312 GiB."""
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Part:
    """A part that S3 has."""

    number: int
    etag: str
    sha256: str

    def as_entry(self) -> dict[str, Any]:
        """As CompleteMultipartUpload wants it."""
        return {"PartNumber": self.number, "ETag": self.etag, "ChecksumSHA256": self.sha256}


class Multipart:
    """The newest unfinished upload of an object; a new one where there is none.

    Args:
        s3: A boto3 client.
        bucket: The bucket.
        key: The object's key.
        part_bytes: Size of all parts but the last; at least 5 MiB.
    """

    def __init__(self, s3: Any, *, bucket: str, key: str, part_bytes: int = PART_BYTES) -> None:
        self._s3 = s3
        self._part_bytes = part_bytes
        self._at = {"Bucket": bucket, "Key": key}
        upload_id = self._unfinished()
        if upload_id is None:
            upload_id = s3.create_multipart_upload(**self._at, ChecksumAlgorithm="SHA256")["UploadId"]
        self._at["UploadId"] = upload_id

    def send(self, chunks: Iterable[bytes]) -> Iterator[Part]:
        """Send what S3 does not have yet.

        What it has is known by its checksum, so all bytes are read, though few may be sent.

        Args:
            chunks: All bytes from the first one.

        Yields:
            Every part in order, as soon as S3 has it.
        """
        kept = self._kept()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="part") as pool:
            sending: deque[Future[Part]] = deque()
            for number, body in enumerate(self._bodies(chunks), start=1):
                if len(sending) == _AT_ONCE:
                    yield sending.popleft().result()
                sending.append(pool.submit(self._send, number, body, kept.get(number)))
            for future in sending:
                yield future.result()

    def complete(self, parts: Iterable[Part]) -> None:
        """Make the object of its parts, unless there is one of that key by now."""
        entries = [part.as_entry() for part in parts]
        self._s3.complete_multipart_upload(**self._at, MultipartUpload={"Parts": entries}, IfNoneMatch="*")

    def abort(self) -> None:
        """Forget the parts."""
        self._s3.abort_multipart_upload(**self._at)

    def _unfinished(self) -> str | None:
        pages = self._s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._at["Bucket"], Prefix=self._at["Key"]
        )
        uploads = [one for page in pages for one in page.get("Uploads", []) if one["Key"] == self._at["Key"]]
        return max(uploads, key=lambda one: one["Initiated"])["UploadId"] if uploads else None

    def _kept(self) -> dict[int, Part]:
        pages = self._s3.get_paginator("list_parts").paginate(**self._at)
        parts = (one for page in pages for one in page.get("Parts", []))
        return {one["PartNumber"]: Part(one["PartNumber"], one["ETag"], one.get("ChecksumSHA256", "")) for one in parts}

    def _bodies(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            while len(body) >= self._part_bytes:
                yield bytes(body[: self._part_bytes])
                del body[: self._part_bytes]
        if body:
            yield bytes(body)

    def _send(self, number: int, body: bytes, kept: Part | None) -> Part:
        sha256 = b64encode(hashlib.sha256(body).digest()).decode()
        if kept is not None and kept.sha256 == sha256:
            return kept
        answer = self._s3.upload_part(**self._at, PartNumber=number, Body=body, ChecksumSHA256=sha256)
        return Part(number, answer["ETag"], sha256)
