"""An index in Amazon S3 Vectors.

The role needs s3vectors:QueryVectors, GetVectors (for a filter), PutVectors and DeleteVectors on the indexes; a rebuild
also CreateIndex, GetIndex, UpdateIndexMode, ListIndexes and DeleteIndex.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from icons.index.metadata import NOT_FILTERABLE
from icons.index.protocol import Floats, IconVector, IndexMissingError
from jobs.dynamodb import error_code

PREFIX = "icons-"
"""Names of the icon library's indexes begin so."""
_T = TypeVar("_T")
_BATCH = 500
"""Vectors, or keys, of a call."""
_MAX_TOP_K = 10_000


class S3VectorsIndex:
    """An index that exists.

    Args:
        client: A botocore client of s3vectors.
        bucket: The vector bucket.
        name: Of the index.
    """

    def __init__(self, client: Any, bucket: str, name: str) -> None:
        self._client = client
        self._index = {"vectorBucketName": bucket, "indexName": name}

    def put(self, vectors: Sequence[IconVector]) -> None:
        """As in the protocol."""
        for batch in _batches(vectors):
            self._client.put_vectors(
                **self._index,
                vectors=[
                    {"key": one.key, "data": {"float32": one.values.tolist()}, "metadata": dict(one.metadata)}
                    for one in batch
                ],
            )

    def delete(self, keys: Sequence[str]) -> None:
        """As in the protocol."""
        for batch in _batches(keys):
            self._client.delete_vectors(**self._index, keys=batch)

    def query(self, vector: Floats, top_k: int, category: str | None = None) -> list[tuple[str, float]]:
        """As in the protocol; approximate, about 100 ms."""
        asked = {
            **self._index,
            "topK": min(top_k, _MAX_TOP_K),
            "queryVector": {"float32": vector.tolist()},
            "returnDistance": True,
        }
        if category is not None:
            asked["filter"] = {"category": {"$eq": category}}
        found: list[tuple[str, float]] = []
        token = None
        while len(found) < top_k:
            try:
                answer = self._client.query_vectors(**asked, **({"nextToken": token} if token else {}))
            except ClientError as error:
                if _is_missing(error):
                    raise IndexMissingError(error.response["Error"]["Message"]) from None
                raise
            found += ((one["key"], 1 - one["distance"]) for one in answer["vectors"])
            if not (token := answer.get("nextToken")):
                break
        return found[:top_k]

    def refresh(self) -> None:
        """Nothing to do: the service reads what was written last."""


class S3VectorsIndexes:
    """The icon library's indexes in a vector bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def create(self, name: str, dimension: int, vectors: Iterable[IconVector]) -> S3VectorsIndex:
        """As in the protocol; in the mode that filters before it searches."""
        self.drop(name)
        self._client.create_index(
            vectorBucketName=self._bucket,
            indexName=name,
            dataType="float32",
            dimension=dimension,
            distanceMetric="cosine",
            metadataConfiguration={"nonFilterableMetadataKeys": list(NOT_FILTERABLE)},
        )
        # Buckets made before 30 September 2026 make indexes that filter while they search, and so find too few.
        index = {"vectorBucketName": self._bucket, "indexName": name}
        if self._client.get_index(**index)["index"].get("indexMode") == "CLASSIC":
            self._client.update_index_mode(**index, indexMode="ENHANCED")
        made = S3VectorsIndex(self._client, self._bucket, name)
        for batch in _batches(vectors):
            made.put(batch)
        return made

    def open(self, name: str) -> S3VectorsIndex:
        """As in the protocol."""
        try:
            self._client.get_index(vectorBucketName=self._bucket, indexName=name)
        except ClientError as error:
            if _is_missing(error):
                raise IndexMissingError(f"there is no index {name}; run python -m icons rebuild") from None
            raise
        return S3VectorsIndex(self._client, self._bucket, name)

    def drop(self, name: str) -> None:
        """As in the protocol."""
        try:
            self._client.delete_index(vectorBucketName=self._bucket, indexName=name)
        except ClientError as error:
            if not _is_missing(error):
                raise

    def names(self) -> list[str]:
        """As in the protocol."""
        pages = self._client.get_paginator("list_indexes").paginate(vectorBucketName=self._bucket, prefix=PREFIX)
        return sorted(one["indexName"] for page in pages for one in page["indexes"])


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _is_missing(error: ClientError) -> bool:
    return error_code(error) == "NotFoundException"
