"""The files of a model bucket. A file's tag is its checksum, written only once it is verified."""

import hashlib
import sys
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from deploy.aws import error_code, items
from deploy.errors import DeployError
from deploy.models.sources import FileSource, WebSource

INDEX = "model_index.json"
"""Lists the other files of a diffusers model. It is stored last: if it exists, so do the others."""
_PART_BYTES = 32 << 20
"""S3 accepts 10,000 parts of an object, so the limit is 312 GiB."""
_PARTS_AT_ONCE = 4
_CHUNK_BYTES = 1 << 20
_CHECKSUM_TAG = "sha256"


class ModelLibrary:
    """Puts files into a model bucket, and never overwrites one.

    boto3's own transfers restart a broken upload from its first byte; these continue with the parts that S3 has, each
    of ``part_bytes``, at least 5 MiB.
    """

    def __init__(self, s3: Any, bucket: str, *, part_bytes: int = _PART_BYTES) -> None:
        self._s3 = s3
        self.bucket = bucket
        self._part_bytes = part_bytes

    def has(self, key: str) -> bool:
        """Whether a file exists, whatever its content; False also if there is no bucket."""
        try:
            self._s3.head_object(Bucket=self.bucket, Key=key)
        except ClientError as exc:
            if error_code(exc) in {"404", "NoSuchKey", "NotFound"}:
                return False
            raise
        return True

    def checksum(self, key: str) -> str:
        """SHA-256 of an existing file; one without the tag is read as a whole, and tagged."""
        tags = self._s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        for tag in tags:
            if tag["Key"] == _CHECKSUM_TAG:
                return str(tag["Value"])
        answer = self._s3.get_object(Bucket=self.bucket, Key=key)
        sha256 = _sha256(f"verify {key}", answer["Body"].iter_chunks(_CHUNK_BYTES), answer["ContentLength"])
        self._tag(key, sha256, tags)
        return sha256

    def holds(self, key: str, sha256: str) -> bool:
        """Whether the file with that checksum exists.

        Raises:
            DeployError: Another file has that key.
        """
        if not self.has(key):
            return False
        if self.checksum(key) != sha256:
            raise DeployError(
                f"s3://{self.bucket}/{key} exists already, with different content.",
                "A new file needs a new name: running pods keep what they read under the old one.",
            )
        return True

    def store(self, source: FileSource | WebSource, key: str, *, sha256: str | None = None) -> bool:
        """Upload a file unless the same one exists; continue a broken upload.

        Returns:
            Whether it was missing.

        Raises:
            DeployError: Another file has that key, or the bytes do not match the checksum.
        """
        if self.has(key):
            return not self.holds(key, sha256 or _sha256(source.name, source.chunks(), source.total_bytes))
        upload = {"Bucket": self.bucket, "Key": key, "UploadId": self._upload_id(key)}
        digest = hashlib.sha256()
        parts = self._send(upload, _tracked(source.name, source.chunks(), source.total_bytes, digest))
        found = digest.hexdigest()
        if sha256 is not None and found != sha256:
            self._s3.abort_multipart_upload(**upload)
            raise DeployError(
                f"{source.name} has the checksum {found}, not {sha256}; it was not stored.",
                "The source provides a different file than expected: do not use it. Upload the right one yourself.",
            )
        # The condition prevents overwriting a file that somebody stored meanwhile.
        self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        self._tag(key, found, [])
        return True

    def _upload_id(self, key: str) -> str:
        """The newest unfinished upload of a key, or a new one."""
        unfinished = items(self._s3, "list_multipart_uploads", "Uploads", Bucket=self.bucket, Prefix=key)
        uploads = [(one["Initiated"], one["UploadId"]) for one in unfinished if one["Key"] == key]
        if uploads:
            return str(max(uploads)[1])
        made = self._s3.create_multipart_upload(Bucket=self.bucket, Key=key, ChecksumAlgorithm="SHA256")
        return str(made["UploadId"])

    def _send(self, upload: dict[str, str], chunks: Iterable[bytes]) -> list[dict[str, Any]]:
        """Send the parts that S3 lacks by their checksums; return all parts for completing the upload."""
        kept = {one["PartNumber"]: one for one in items(self._s3, "list_parts", "Parts", **upload)}

        def send(number: int, body: bytes) -> dict[str, Any]:
            sha256 = b64encode(hashlib.sha256(body).digest()).decode()
            part = kept.get(number, {})
            if part.get("ChecksumSHA256") != sha256:
                part = self._s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumSHA256=sha256)
            return {"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": sha256}

        parts = []
        with ThreadPoolExecutor(_PARTS_AT_ONCE, thread_name_prefix="part") as pool:
            sending: deque[Future[dict[str, Any]]] = deque()
            for number, body in enumerate(self._bodies(chunks), start=1):
                if len(sending) == _PARTS_AT_ONCE:  # the most parts in memory
                    parts.append(sending.popleft().result())
                sending.append(pool.submit(send, number, body))
            return parts + [future.result() for future in sending]

    def _bodies(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            while len(body) >= self._part_bytes:
                yield bytes(body[: self._part_bytes])
                del body[: self._part_bytes]
        if body:
            yield bytes(body)

    def _tag(self, key: str, sha256: str, others: list[dict[str, str]]) -> None:
        tags = [*others, {"Key": _CHECKSUM_TAG, "Value": sha256}]
        self._s3.put_object_tagging(Bucket=self.bucket, Key=key, Tagging={"TagSet": tags})


def _tracked(title: str, chunks: Iterable[bytes], total_bytes: int | None, digest: Any) -> Iterator[bytes]:
    """Pass chunks on, hash them, and show the bytes done, the speed and the elapsed time on stderr."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(TextColumn("  {task.description}"), *columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task(title, total=total_bytes)
        for chunk in chunks:
            digest.update(chunk)
            yield chunk
            progress.advance(task, len(chunk))


def _sha256(title: str, chunks: Iterable[bytes], total_bytes: int | None) -> str:
    digest = hashlib.sha256()
    deque(_tracked(title, chunks, total_bytes, digest), maxlen=0)
    return digest.hexdigest()
