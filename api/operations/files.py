"""Files that callers upload for their jobs."""

import mimetypes
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from api.errors import InvalidRequestError, RequestError
from contract.field_errors import FieldError
from contract.objects import FILE_DAYS, MISSING_CODES, TENANT_METADATA, file_key, s3_url, tenant_label
from contract.signatures import UploadLink, read_upload_token, upload_token
from jobs.dynamodb import error_code

UPLOADS_PATH = "v1/uploads/"
"""Below it the API takes the files that it does not let callers send to S3."""
UPLOAD_S = 15 * 60
"""An upload must start within this time."""
_DAY_S = 24 * 3600
_ID = re.compile(r"([0-9a-f-]{36})-([A-Za-z0-9_.-]{1,100})")
_STRANGE = re.compile(r"[^A-Za-z0-9_.-]+")
"""Characters that need encoding in paths; clients encode them differently."""
_MAX_NAME = 100
_NAMES = uuid.UUID("6a2f6c0e-0d5c-5d0b-9a3e-6f1f0f4c7b21")
"""The namespace of the ids of files that are found by their names (RFC 9562, UUIDv5)."""
_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "image/avif"),
    (re.compile(rb".{4}ftyp", re.DOTALL), "video/mp4"),
    (re.compile(rb"\x1aE\xdf\xa3"), "video/webm"),
    (re.compile(rb"RIFF.{4}WAVE", re.DOTALL), "audio/wav"),
)
"""File signatures, which take precedence over names. Agents check files again before a model server gets them."""
_PICTURES = "image/"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file in the output bucket; ``expires_s`` is when it is deleted, seconds since 1970."""

    id: str
    name: str
    s3: str
    content_type: str
    size_bytes: int
    expires_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A PUT request to S3, or else to the API, signed for one size, content type and tenant."""

    url: str
    headers: Mapping[str, str]
    expires_s: float


class Files:
    """Each tenant's files. A file's id is a UUID, followed by the file's name.

    Calls raise botocore's errors if AWS does not answer. ``root`` gives the platform's root secret. With
    ``takes_uploads``, the API takes files of any size itself.
    """

    def __init__(
        self,
        *,
        make_s3: Callable[[], Any],
        bucket: str,
        root: Callable[[], str],
        takes_uploads: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._make_s3 = make_s3
        self._bucket = bucket
        self._root = root
        self._takes_uploads = takes_uploads
        self._clock = clock

    def keep(self, tenant: str, name: str, data: bytes, *, is_named: bool = False) -> KeptFile:
        """Store a file; one that ``named`` is to find replaces the earlier file of its name."""
        file = self._file(tenant, name, content_type_of(data, name), len(data), is_named=is_named)
        self._make_s3().put_object(**self._place(tenant, file.id), Body=data, **_kind(tenant, file))
        return file

    def upload(
        self, tenant: str, name: str, content_type: str | None, size_bytes: int, *, base_url: str
    ) -> tuple[KeptFile, Upload]:
        """Prepare an upload of a file directly to S3; ``base_url`` is the API's own URL."""
        file = self._file(tenant, name, content_type or content_type_of(b"", name), size_bytes)
        expires_s = self._clock() + UPLOAD_S
        if self._takes_uploads:
            link = UploadLink(
                tenant=tenant,
                file=file.id,
                content_type=file.content_type,
                size_bytes=size_bytes,
                expires_s=int(expires_s),
            )
            url = f"{base_url}/{UPLOADS_PATH}{upload_token(self._root(), link)}"
            return file, Upload(url=url, headers={"Content-Type": file.content_type}, expires_s=expires_s)
        asked = {**self._place(tenant, file.id), **_kind(tenant, file), "ContentLength": size_bytes}
        url = self._make_s3().generate_presigned_url("put_object", Params=asked, ExpiresIn=UPLOAD_S)
        headers = {"Content-Type": file.content_type, f"x-amz-meta-{TENANT_METADATA}": tenant_label(tenant)}
        return file, Upload(url=url, headers=headers, expires_s=expires_s)

    def announced(self, token: str) -> UploadLink:
        """Return what an upload to the API may bring.

        Raises:
            RequestError: The API did not make the token (403), or it has expired (410).
        """
        link = read_upload_token(self._root(), token) if self._takes_uploads else None
        if link is None:
            raise RequestError(
                403, "forbidden", "This is no upload that the API has prepared; take its URL from there."
            )
        if link.expires_s <= self._clock():
            raise RequestError(410, "expired", "The upload has expired; prepare another with POST /v1/files.")
        return link

    def receive(self, link: UploadLink, data: bytes) -> None:
        """Store what an upload has brought.

        Raises:
            InvalidRequestError: It has another size than was announced.
        """
        if len(data) != link.size_bytes:
            raise InvalidRequestError(
                [FieldError("", f"has {len(data)} bytes, and was announced with {link.size_bytes}")]
            )
        file = self._file(link.tenant, link.file[37:], link.content_type, link.size_bytes)
        self._make_s3().put_object(**self._place(link.tenant, link.file), Body=data, **_kind(link.tenant, file))

    def named(self, tenant: str, name: str) -> KeptFile:
        """Get the file that was stored under a name to be found by it; raises as ``get``."""
        return self.get(tenant, self._file(tenant, name, "", 0, is_named=True).id)

    def get(self, tenant: str, file_id: str) -> KeptFile:
        """Get a file's description.

        Raises:
            RequestError: The tenant has no such file (404).
        """
        place = self._place(tenant, file_id)
        try:
            head = self._make_s3().head_object(**place)
        except ClientError as exc:
            if error_code(exc) not in MISSING_CODES:
                raise
            raise _missing() from None
        return KeptFile(
            id=file_id,
            name=file_id[37:],
            s3=s3_url(self._bucket, place["Key"]),
            content_type=head["ContentType"],
            size_bytes=head["ContentLength"],
            expires_s=head["LastModified"].timestamp() + FILE_DAYS * _DAY_S,
        )

    def delete(self, tenant: str, file_id: str) -> None:
        """Delete a file, if it exists."""
        self._make_s3().delete_object(**self._place(tenant, file_id))

    def _file(self, tenant: str, name: str, content_type: str, size_bytes: int, *, is_named: bool = False) -> KeptFile:
        unique = uuid.uuid5(_NAMES, name) if is_named else uuid.uuid4()
        name = _STRANGE.sub("_", name)[-_MAX_NAME:].lstrip(".") or "file"
        file_id = f"{unique}-{name}"
        return KeptFile(
            id=file_id,
            name=name,
            s3=s3_url(self._bucket, self._place(tenant, file_id)["Key"]),
            content_type=content_type,
            size_bytes=size_bytes,
            expires_s=self._clock() + FILE_DAYS * _DAY_S,
        )

    def _place(self, tenant: str, file_id: str) -> dict[str, str]:
        parts = _ID.fullmatch(file_id)
        if parts is None:
            raise _missing()
        return {"Bucket": self._bucket, "Key": file_key(tenant, parts[1], parts[2])}


def content_type_of(data: bytes, name: str) -> str:
    """Return a file's type, from its first bytes or else its name. A name alone never makes it a picture."""
    for signature, content_type in _SIGNATURES:
        if signature.match(data):
            return content_type
    named = mimetypes.guess_type(name)[0]
    return named if named and not (data and named.startswith(_PICTURES)) else "application/octet-stream"


def _kind(tenant: str, file: KeptFile) -> dict[str, Any]:
    return {"ContentType": file.content_type, "Metadata": {TENANT_METADATA: tenant_label(tenant)}}


def _missing() -> RequestError:
    return RequestError(404, "not_found", f"You have no such file; files are deleted after {FILE_DAYS} days.")
