"""The files of jobs: where they are, links to them, and their bytes."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from api.errors import RequestError
from contract.objects import MISSING_CODES, preview_key
from contract.signatures import OutputLink, read_output_token
from jobs.dynamodb import error_code
from jobs.job import Job
from jobs.links import content_type_of, links_end_s, output_path

PRESIGNED_S = 15 * 60
_PIECE_BYTES = 256 * 1024
_SHOWN = re.compile(
    r"(?:image/(?!svg)[\w.+-]+|(?:audio|video)/[\w.+-]+|application/json|text/plain)(?:;.*)?", re.IGNORECASE
)
"""Types that a browser may show inline: none of them runs scripts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file in the output bucket.

    Attributes:
        content_type: "" if only the S3 object has it.
        name: The file name to show, without slashes, quotes or non-ASCII letters.
    """

    key: str
    content_type: str
    name: str

    @classmethod
    def of_key(cls, key: str, content_type: str | None = None) -> "StoredFile":
        """Describe a result, whose key ends with its name. Default for the type: guessed from the name."""
        name = key.rpartition("/")[2]
        return cls(key=key, content_type=content_type or content_type_of(name), name=name)

    def disposition(self, content_type: str) -> str:
        """Return the Content-Disposition: whether a browser shows a file of this type or saves it."""
        return f'{"inline" if _SHOWN.fullmatch(content_type) else "attachment"}; filename="{self.name}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """An open file; ``pieces`` reads it."""

    content_type: str
    size_bytes: int
    pieces: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class SignedPath:
    """A path below the API's base that needs no key, and when it expires, seconds since 1970."""

    path: str
    expires_s: int


class Outputs:
    """The files of jobs. Callers must check first that the tenant may see the job.

    Calls raise botocore's errors if AWS does not answer. ``root`` gives the platform's root secret. With
    ``sends_files``, no link leads to S3, which callers cannot reach.
    """

    def __init__(
        self,
        *,
        make_s3: Callable[[], Any],
        bucket: str,
        root: Callable[[], str],
        sends_files: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bucket = bucket
        self.sends_files = sends_files
        self._make_s3 = make_s3
        self._root = root
        self._clock = clock

    def files(self, job: Job) -> list[StoredFile]:
        """Return a job's results, in order."""
        return [StoredFile.of_key(key, known.content_type if known else None) for key, known in job.results]

    def manifest(self, job: Job) -> StoredFile | None:
        """Return a job's manifest, which says how its results were made; None if there is none."""
        return StoredFile.of_key(job.names.answer_key, "application/json") if job.has_manifest else None

    def preview(self, job: Job) -> StoredFile | None:
        """Return the latest preview of a job that has not ended; None if there is none."""
        if job.previewed_s is None or job.state.is_final:
            return None
        return StoredFile(key=preview_key(job.id), content_type="", name=f"{job.id}-preview")

    @property
    def links_end_s(self) -> int:
        """When links made now expire, seconds since 1970."""
        return links_end_s(self._clock())

    def signed(self, file: StoredFile) -> SignedPath:
        """Make a path at which anyone can fetch a file."""
        link = OutputLink(key=file.key, content_type=file.content_type, name=file.name, expires_s=self.links_end_s)
        return SignedPath(output_path(self._root(), link), link.expires_s)

    def read(self, token: str, name: str) -> StoredFile:
        """Return the file that a path from ``signed`` leads to.

        Raises:
            RequestError: The API did not make it (403), or it has expired (410).
        """
        link = read_output_token(self._root(), token, name)
        if link is None:
            raise RequestError(403, "forbidden", "This is no link that the API has made; take it from the job.")
        if link.expires_s <= self._clock():
            raise RequestError(410, "expired", "The link has expired; GET /v1/jobs/{job} has a new one.")
        return StoredFile(key=link.key, content_type=link.content_type, name=link.name)

    def link(self, file: StoredFile, base_url: str) -> str:
        """Make a link at which anyone can fetch a file at once; ``base_url`` is the API's own URL."""
        return f"{base_url}/{self.signed(file).path}" if self.sends_files else self.presigned(file)

    def presigned(self, file: StoredFile) -> str:
        """Make a link to S3 that expires after PRESIGNED_S."""
        asked = {"Bucket": self.bucket, "Key": file.key}
        if file.content_type:
            asked["ResponseContentType"] = file.content_type
            asked["ResponseContentDisposition"] = file.disposition(file.content_type)
        url: str = self._make_s3().generate_presigned_url("get_object", Params=asked, ExpiresIn=PRESIGNED_S)
        return url

    def open(self, file: StoredFile) -> OpenFile:
        """Open a file for reading.

        Raises:
            RequestError: It no longer exists (404).
        """
        s3, place = self._make_s3(), {"Bucket": self.bucket, "Key": file.key}
        try:
            head = s3.head_object(**place)
        except ClientError as exc:
            if error_code(exc) not in MISSING_CODES:
                raise
            raise RequestError(404, "not_found", "The file does not exist any more.") from None

        def pieces() -> Iterator[bytes]:
            with closing(s3.get_object(**place)["Body"]) as body:
                yield from body.iter_chunks(_PIECE_BYTES)

        content_type = file.content_type or str(head.get("ContentType", ""))
        return OpenFile(content_type=content_type, size_bytes=int(head["ContentLength"]), pieces=pieces)
