"""S3 Vectors with queries, and Titan's embeddings, as a process: ``python -m test.kit.s3vectors --port N``.

moto's server has neither; it also accepts vectors and metadata that AWS refuses. The rules are those that AWS documents
or was seen to apply.
"""

import argparse
import json
import logging
import zlib
from itertools import pairwise
from typing import Any

import numpy as np
from moto.bedrockruntime.models import BedrockRuntimeBackend
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3vectors import models, urls
from moto.s3vectors.exceptions import ValidationError
from moto.s3vectors.responses import S3VectorsResponse
from werkzeug.serving import make_server

_PAGE = 100
"""Vectors in one answer; AWS's page is larger."""
_THROTTLED_EVERY = 7
"""Each such call for an embedding is throttled."""


class Throttling(ServiceException):
    code = "ThrottlingException"
    status = 429

    def __init__(self):
        super().__init__("Too many requests, please wait before trying again.")


def mend_s3vectors() -> None:
    """Add to moto what it lacks."""
    for name in ("QueryVectors", "UpdateIndexMode"):
        urls.url_paths[f"{{0}}/{name}$"] = S3VectorsResponse.dispatch
    response: Any = S3VectorsResponse
    create, get, put = response.create_index, response.get_index, response.put_vectors

    def create_index(self):
        answer = create(self)
        index = index_of(self)
        configuration = self._get_param("metadataConfiguration") or {}
        index.not_filterable = configuration.get("nonFilterableMetadataKeys", [])
        index.mode = "CLASSIC" if self._get_param("vectorBucketName").startswith("old") else "ENHANCED"
        return answer

    def get_index(self):
        get(self)
        index = index_of(self)
        described = {
            "vectorBucketName": index.vectorBucketName,
            "indexName": index.index_name,
            "indexArn": index.index_arn,
            "creationTime": 1_790_000_000,
            "dataType": index.data_type,
            "dimension": index.dimension,
            "distanceMetric": index.distance_metric,
            "metadataConfiguration": {"nonFilterableMetadataKeys": index.not_filterable},
            "indexMode": index.mode,
        }
        return ActionResult({"index": described})

    def update_index_mode(self):
        index_of(self).mode = self._get_param("indexMode")
        return EmptyResult()

    def put_vectors(self):
        vectors = self._get_param("vectors")
        if not 1 <= len(vectors) <= 500:
            raise ValidationError("vectors must have length between 1 and 500")
        for vector in vectors:
            check_vector(index_of(self), vector)
        return put(self)

    def query_vectors(self):
        return ActionResult(query(index_of(self), self._get_param))

    for function in (create_index, get_index, update_index_mode, put_vectors, query_vectors):
        setattr(response, function.__name__, function)


def index_of(response) -> Any:
    get = response._get_param
    return response.s3vectors_backend.get_index(get("vectorBucketName"), get("indexName"), get("indexArn"))


def check_vector(index: Any, vector: dict[str, Any]) -> None:
    key, metadata = vector["key"], vector.get("metadata") or {}
    if not 1 <= len(key) <= 1024 or len(key.encode()) > 1024:
        raise ValidationError("key must have length between 1 and 1024")
    if not np.isfinite(vector["data"]["float32"]).all() or not np.any(vector["data"]["float32"]):
        raise ValidationError(f"Invalid record for key '{key}': the vector is zero, or not finite")
    if len(metadata) > 50:
        raise ValidationError(f"Invalid record for key '{key}': more than 50 metadata keys")
    for value in metadata.values():
        items = value if isinstance(value, list) else [value]
        texts = all(isinstance(item, str) for item in items)
        numbers = all(isinstance(item, int | float) for item in items)
        if not items or not (texts or numbers):
            raise ValidationError(f"Invalid record for key '{key}': metadata values must be strings, numbers, …")
    filterable = {name: value for name, value in metadata.items() if name not in index.not_filterable}
    for part, limit in ((filterable, 2048), (metadata, 40960)):
        size = len(json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode()) + 5
        if size > limit:
            raise ValidationError(f"Invalid record for key '{key}': metadata of {size} bytes exceeds {limit}")


def query(index: Any, get: Any) -> dict[str, Any]:
    top_k, vector = get("topK"), np.asarray(get("queryVector")["float32"], np.float64)
    if not 1 <= top_k <= 10_000:
        raise ValidationError("topK must be between 1 and 10000")
    if len(vector) != index.dimension:
        raise ValidationError(f"Query vector must have length {index.dimension}, but has length {len(vector)}")
    if not np.any(vector):
        raise ValidationError("Query vector must not be zero")
    condition = get("filter")
    if condition is not None:
        check_filter(index, condition)
    found = sorted(
        (
            {"key": one.key, "distance": distance(vector, one.data["float32"]), "metadata": one.metadata}
            for one in index.vectors.values()
            if condition is None or holds(condition, one.metadata or {})
        ),
        key=lambda one: one["distance"],
    )[:top_k]
    start = int(get("nextToken") or 0)
    shown = {"key", *(["distance"] if get("returnDistance") else []), *(["metadata"] if get("returnMetadata") else [])}
    page = [{name: value for name, value in one.items() if name in shown} for one in found[start : start + _PAGE]]
    answer = {"vectors": page, "distanceMetric": index.distance_metric}
    return answer | ({"nextToken": str(start + _PAGE)} if start + _PAGE < len(found) else {})


def distance(one: Any, other: list[float]) -> float:
    that = np.asarray(other, np.float64)
    return float(1 - one @ that / np.linalg.norm(one) / np.linalg.norm(that))


def check_filter(index: Any, condition: Any) -> None:
    if not isinstance(condition, dict) or len(condition) != 1:
        raise ValidationError("Invalid filter")
    ((name, wanted),) = condition.items()
    if name in {"$and", "$or"}:
        for part in wanted:
            check_filter(index, part)
    elif name in index.not_filterable or not (set(wanted) <= {"$eq", "$in"} if isinstance(wanted, dict) else True):
        raise ValidationError("Invalid filter")


def holds(condition: dict[str, Any], metadata: dict[str, Any]) -> bool:
    ((name, wanted),) = condition.items()
    if name in {"$and", "$or"}:
        return (all if name == "$and" else any)(holds(part, metadata) for part in wanted)
    accepted = wanted if isinstance(wanted, dict) else {"$eq": wanted}
    has = metadata.get(name)
    values = has if isinstance(has, list) else [has]
    return any(value in accepted.get("$in", [accepted.get("$eq")]) for value in values)


def mend_titan() -> None:
    """Embeddings that put texts with the same letters near each other; some calls are throttled."""
    calls = 0

    def invoke_model(self, payload, model_id):
        nonlocal calls
        calls += 1
        if calls % _THROTTLED_EVERY == 0:
            raise Throttling
        if model_id != "amazon.titan-embed-text-v2:0" or set(payload) - {"inputText", "dimensions", "normalize"}:
            raise ValidationError("Malformed input request, please reformat your input and try again.")
        text = payload["inputText"]
        if not 1 <= len(text) <= 50_000:
            raise ValidationError("Malformed input request: expected minLength: 1, maxLength: 50000")
        row = np.zeros(payload.get("dimensions", 1024))
        for part in [*text, *map("".join, pairwise(text))]:
            row[zlib.crc32(part.encode()) % len(row)] += 1
        return {"embedding": (row / np.linalg.norm(row)).tolist(), "inputTextTokenCount": len(text)}

    backend: Any = BedrockRuntimeBackend
    backend.invoke_model = invoke_model


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m test.kit.s3vectors")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    mend_s3vectors()
    mend_titan()
    assert models.s3vectors_backends is not None
    app = DomainDispatcherApplication(create_backend_app)
    make_server("127.0.0.1", arguments.port, app, threaded=True, request_handler=MotoRequestHandler).serve_forever()


if __name__ == "__main__":
    main()
