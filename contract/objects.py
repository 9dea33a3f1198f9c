"""Names of objects in the output bucket, and s3:// links."""

import hashlib
from dataclasses import dataclass

TASKS_PREFIX = "_tasks/"
"""Content too large for a message is stored here; no task may write under a prefix that begins with ``_``."""
PREVIEWS_PREFIX = "_previews/"
"""Pictures that show how far a job is: one for each job, overwritten."""
FILES_PREFIX = "_files/"
"""Files that callers sent as inputs of later jobs."""
FILE_DAYS = 30
"""How long they stay."""
WORKFLOWS_PREFIX = "_workflows/"
"""Named workflows."""
ICONS_PREFIX = "_icons/"
"""The icon library."""
CATALOG_PREFIX = "_catalogue/"
"""What the model servers of each runtime have."""

TENANT_METADATA = "tenant"
"""S3 metadata with the ``tenant_label`` of an object's owner."""

MISSING_CODES = frozenset({"NoSuchKey", "AccessDenied", "404", "403"})
"""S3's error codes for an object that does not exist; without s3:ListBucket it answers 403."""

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_CODE_LENGTH = 12


def content_key(job: str) -> str:
    """Key of a job's content when it does not fit into the message."""
    return f"{TASKS_PREFIX}{job}.json"


def preview_key(job: str) -> str:
    """Key of the latest picture that shows how far a job is."""
    return f"{PREVIEWS_PREFIX}{job}"


def catalog_key(runtime: str) -> str:
    """Key of what the model servers of a runtime have."""
    return f"{CATALOG_PREFIX}{runtime}.json"


def s3_url(bucket: str, key: str) -> str:
    """Write an s3:// link."""
    return f"s3://{bucket}/{key}"


def split_s3_url(url: str) -> tuple[str, str]:
    """Read an s3:// link as bucket and key.

    Raises:
        ValueError: The link names no bucket or no key.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket or not key:
        raise ValueError("must look like s3://bucket/key")
    return bucket, key


def tenant_label(tenant: str) -> str:
    """A tenant's hash for an object's metadata; its name may contain what HTTP headers cannot."""
    return hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()


def job_code(job: str) -> str:
    """Base-36 characters that distinguish the jobs of one task id."""
    number = int.from_bytes(hashlib.sha256(job.encode()).digest(), "big")
    code = ""
    for _ in range(_CODE_LENGTH):
        number, digit = divmod(number, 36)
        code += _BASE36[digit]
    return code


def file_key(tenant: str, file_id: str, name: str) -> str:
    """Key of a file that a tenant has sent."""
    return f"{FILES_PREFIX}{tenant_label(tenant)}/{file_id}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultNames:
    """Where the results of one job go. A redelivered message has the same names, so its results overwrite."""

    prefix: str
    task_id: str
    job: str

    @property
    def folder(self) -> str:
        """Key prefix of all results of the task id."""
        return f"{self.prefix}/{self.task_id}"

    @property
    def answer_key(self) -> str:
        """Key of the manifest, which is written last."""
        return f"{self.folder}/{self.task_id}-{job_code(self.job)}.out"

    def picture_key(self, number: int, extension: str) -> str:
        """Key of a picture; ``number`` starts at 1, ``extension`` has no dot."""
        return f"{self.folder}/{self.task_id}-{job_code(self.job)}-{number}.{extension}"
