"""What S3 Vectors keeps beside a vector, by its rules; every index keeps the same.

Sizes are of the compact JSON in UTF-8 and 5 bytes: at most 2048 for what queries may filter by, 40960 in all. A value
is a string or a non-empty list of strings; null is none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError
from contract.strict_json import utf8_size
from icons.icon import MAX_KEY, Icon

NOT_FILTERABLE = ("description", "s3_url")
MAX_FILTERABLE_BYTES = 2048
MAX_BYTES = 40960
_OVERHEAD = 5
_UTF8_MAX = 4
"""Bytes of a character at most."""


def metadata_of(icon: Icon, text: str) -> dict[str, Any]:
    """Metadata of the vector of one description of an icon; empty values are left out, as S3 Vectors refuses them."""
    found = {
        "s3_url": icon.s3_url,
        "description": text,
        "category": icon.category,
        "tags": list(icon.tags),
        "style": icon.style,
        "status": icon.status.value,
        "source": icon.source.value,
    }
    return {name: value for name, value in found.items() if value}


def metadata_errors(icon: Icon) -> Iterator[FieldError]:
    """What S3 Vectors would refuse about an icon."""
    longest = max(icon.vector_keys, key=len)
    if len(longest) * _UTF8_MAX > MAX_KEY and (size := len(longest.encode())) > MAX_KEY:
        yield FieldError("key", f"may have at most {MAX_KEY} bytes in UTF-8, with #N for an alias; has {size}")
    text = max(icon.texts, key=len)
    whole = metadata_of(icon, text)
    filterable = {name: value for name, value in whole.items() if name not in NOT_FILTERABLE}
    if (size := _size(filterable)) > MAX_FILTERABLE_BYTES:
        limit = f"category, tags and style may have at most {MAX_FILTERABLE_BYTES} bytes in all"
        yield FieldError("tags", f"{limit}; have {size}")
    elif (size := _size(whole)) > MAX_BYTES:
        yield FieldError(
            "description", f"description and s3_url may have at most {MAX_BYTES} bytes in all; have {size}"
        )


def _size(metadata: Mapping[str, Any]) -> int:
    return utf8_size(metadata) + _OVERHEAD
