"""The digest of a request, by which one is told from another that came under the same id."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any


def digest_of(content: Mapping[str, Any], task_type: str) -> bytes:
    """Digest a request as it was given; only the order of its fields does not count.

    Reads images whole, so it takes its time.
    """
    return sha256(json.dumps([task_type, _digested(content)], sort_keys=True).encode()).digest()


def _digested(value: Any) -> Any:
    """The value, each text in it replaced by its digest: to write an image as JSON takes longer than to digest it."""
    match value:
        case str():
            return sha256(value.encode()).hexdigest()
        case Mapping():
            return {key: _digested(item) for key, item in value.items()}
        case list():
            return [_digested(item) for item in value]
        case _:
            return value
