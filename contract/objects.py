"""Names of objects in the output bucket, and s3:// links."""

import hashlib
from dataclasses import dataclass

TASKS_PREFIX = "_tasks/"
"""Where the door lays content too large for a message; no task may write under a prefix that begins with ``_``."""

TENANT_METADATA = "tenant"
"""Name of the S3 metadata that says whose results an object belongs to: a ``tenant_label``."""

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_CODE_LENGTH = 12


def content_key(job: str) -> str:
    """Key of a job's content when it does not fit into the message."""
    return f"{TASKS_PREFIX}{job}.json"


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
    """What stands for a tenant in an object's metadata; a tenant's own name may hold what no HTTP header can."""
    return hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()


def job_code(job: str) -> str:
    """Base-36 characters that differ for each submission of the same task id: enough that no two ever share them."""
    number = int.from_bytes(hashlib.sha256(job.encode()).digest(), "big")
    code = ""
    for _ in range(_CODE_LENGTH):
        number, digit = divmod(number, 36)
        code += _BASE36[digit]
    return code


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultNames:
    """Where the results of one job go. A redelivered message gives the same names, so it overwrites."""

    prefix: str
    task_id: str
    job: str

    @property
    def folder(self) -> str:
        """Key prefix of all results of the task id."""
        return f"{self.prefix}/{self.task_id}"

    @property
    def answer_key(self) -> str:
        """Key of the runtime's answer, the manifest that is written last."""
        return f"{self.folder}/{self.task_id}-{job_code(self.job)}.out"

    def picture_key(self, number: int, extension: str) -> str:
        """Key of a picture; ``number`` counts from 1, ``extension`` comes without a dot."""
        return f"{self.folder}/{self.task_id}-{job_code(self.job)}-{number}.{extension}"
