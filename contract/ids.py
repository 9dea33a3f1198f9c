"""Job ids: UUIDv7, which sort by the time at which a job was accepted."""

import hashlib
import os
import time
import uuid

JOB_ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def new_job_id() -> str:
    """Make a job id from the clock and 74 random bits (RFC 9562, section 5.7)."""
    return _uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def first_job_id(time_s: float) -> str:
    """The lowest id that a job of a time can have; in seconds since 1970."""
    return _uuid7(int(time_s * 1000), bytes(10))


def job_time_s(job: str) -> float:
    """When a job was accepted, by its id; in seconds since 1970."""
    return (uuid.UUID(job).int >> 80) / 1000


def foreign_job_id(timestamp_ms: int, message_id: str) -> str:
    """Derive the job id of a message that has none.

    The same message always gives the same id, however often it is delivered. If there is an SNS envelope, pass its
    Timestamp and MessageId, because SQS gives a redriven message a new id.
    """
    return _uuid7(timestamp_ms, hashlib.sha256(message_id.encode()).digest()[:10])


def _uuid7(timestamp_ms: int, ten_bytes: bytes) -> str:
    value = (timestamp_ms & (2**48 - 1)) << 80 | int.from_bytes(ten_bytes, "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    return str(uuid.UUID(int=value))
