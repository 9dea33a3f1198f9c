"""Which bodies API Gateway passes on as bytes (its guide, "Binary media types for REST APIs"): others are text."""

from fnmatch import fnmatchcase

BINARY_MEDIA_TYPES = ("application/octet-stream", "audio/*", "image/*", "multipart/form-data", "video/*")
"""Not ``*/*``: JSON would then travel as base64, and less of it would fit into an event."""


def is_binary(header: str) -> bool:
    """Whether a Content-Type header, or the first type of an Accept header, is one of them.

    By these API Gateway decides whether a request, or an answer, is binary.
    """
    media_type = header.partition(",")[0].partition(";")[0].strip().lower()
    return any(fnmatchcase(media_type, pattern) for pattern in BINARY_MEDIA_TYPES)
