"""Replicate's files: sent once, then inputs of predictions by their URL."""

import re
from typing import Any

from api.errors import InvalidRequestError
from api.faces.dialects.dialect import DialectCall
from api.http import Answer, Response
from api.operations.files import KeptFile
from contract.field_errors import FieldError
from contract.objects import FILE_DAYS
from contract.times import time_of

_DAY_S = 24 * 3600


def create_file(call: DialectCall) -> Answer:
    """POST /files."""
    content = next((part for part in call.form() if part.name == "content"), None)
    if content is None or not content.data:
        raise InvalidRequestError([FieldError("content", "is required: the file")])
    return Response.json(
        201, _view(call, call.services.files.keep(call.tenant, content.file or "upload", content.data))
    )


def file(call: DialectCall) -> Answer:
    """GET /files/{id}."""
    return Response.json(200, _view(call, call.services.files.get(call.tenant, call.path["file"])))


def delete_file(call: DialectCall) -> Answer:
    """DELETE /files/{id}."""
    call.services.files.delete(call.tenant, call.path["file"])
    return Response(status=204)


def sent_files(call: DialectCall, inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs with files of the caller's, given by their URL, as links that jobs read."""
    links: dict[str, str] = {}  # each file is looked up once, however often it is named
    own = re.compile(rf"{re.escape(call.base_url)}/(?:v1/)?files/([^/?#]+)")

    def link(value: Any) -> Any:
        if isinstance(value, list):
            return [link(one) for one in value]
        found = own.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return value
        if value not in links:
            links[value] = call.services.files.get(call.tenant, found[1]).s3
        return links[value]

    return {name: link(value) for name, value in inputs.items()}


def _view(call: DialectCall, kept: KeptFile) -> dict[str, Any]:
    return {
        "id": kept.id,
        "name": kept.name,
        "content_type": kept.content_type,
        "size": kept.size_bytes,
        "etag": kept.id,
        "checksums": {},
        "metadata": {},
        "created_at": time_of(kept.expires_s - FILE_DAYS * _DAY_S).isoformat(),
        "expires_at": time_of(kept.expires_s).isoformat(),
        "urls": {"get": f"{call.base_url}/v1/files/{kept.id}"},
    }
