"""Embeddings in the place of Titan Text Embeddings V2: texts that share pairs of letters are near each other."""

import hashlib
import math
import unicodedata
from itertools import pairwise
from typing import Any

from runtimes.bedrock.standin.errors import invalid

TITAN = "amazon.titan-embed-text-v2:0"
_DIMENSIONS = (1024, 512, 256)
_MAX_CHARS = 50_000
_KEYS = {"inputText", "dimensions", "normalize", "embeddingTypes"}


def embed(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a body."""
    if unknown := body.keys() - _KEYS:
        raise invalid(f"Malformed input request: extraneous key [{min(unknown)}] is not permitted")
    text, dimensions = body.get("inputText"), body.get("dimensions", 1024)
    if not isinstance(text, str) or not 1 <= len(text) <= _MAX_CHARS:
        raise invalid(f"Malformed input request: inputText must have 1 to {_MAX_CHARS} characters")
    if dimensions not in _DIMENSIONS:
        raise invalid("Malformed input request: dimensions must be 1024, 512 or 256")
    numbers = _vector(text, dimensions)
    return {
        "embedding": numbers,
        "embeddingsByType": {"float": numbers},
        "inputTextTokenCount": max(1, len(text) // 4),
    }


def _vector(text: str, dimensions: int) -> list[float]:
    """A unit vector: each pair of letters adds 1 or -1 to a few of its numbers."""
    folded = f" {unicodedata.normalize('NFKC', text).lower()} "
    numbers = [0.0] * dimensions
    for first, second in pairwise(folded):
        digest = hashlib.sha256((first + second).encode("utf-8", "surrogatepass")).digest()
        for at in range(0, 16, 4):
            index = int.from_bytes(digest[at : at + 3], "big") % dimensions
            numbers[index] += 1.0 if digest[at + 3] % 2 else -1.0
    length = math.hypot(*numbers)
    return [number / length for number in numbers] if length else [1.0, *numbers[1:]]
