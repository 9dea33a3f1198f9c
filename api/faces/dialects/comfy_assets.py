"""Assets of Comfy API v2: files that callers send, and the results of jobs.

Files are not looked up by their hash, since nobody here computes BLAKE3: a client that asks gets 404
and sends the file.
"""

import re
from collections.abc import Mapping
from typing import Any

from api.errors import InvalidRequestError, RequestError
from api.faces.dialects.comfy_views import moment, outputs_of
from api.faces.dialects.dialect import DialectCall
from api.http import Answer, Response
from api.operations.files import KeptFile
from api.operations.outputs import StoredFile
from api.request import read_file
from contract.field_errors import FieldError
from contract.objects import FILE_DAYS, s3_url, split_s3_url

_OUTPUT = re.compile(r"(?P<job>[0-9a-f-]{36})\.(?P<number>[1-9][0-9]{0,5})")
REFERENCE = "core/ASSET"
_MAX_REFERENCES = 100
"""Assets in a workflow: each is looked up."""


def upload(call: DialectCall) -> Answer:
    """POST /assets: a form with the file."""
    sent = read_file(call.request)
    if not sent.data:
        raise InvalidRequestError([FieldError("file", "is empty")])
    return Response.json(201, _file_view(call, call.services.files.keep(call.tenant, sent.file or "", sent.data)))


def find_by_hash(call: DialectCall) -> Answer:  # noqa: ARG001 (the same for all)
    """HEAD /assets/by-hash/{hash}."""
    return Response(status=404)


def from_hash(call: DialectCall) -> Answer:  # noqa: ARG001 (the same for all)
    """POST /assets/from-hash."""
    raise RequestError(404, "not_found", "Files are not known by their hash here; send the file.")


def asset(call: DialectCall) -> Answer:
    """GET /assets/{id}."""
    if (found := _output(call)) is not None:
        view = {name: found[0][name] for name in ("id", "hash", "size_bytes", "content_type", "url", "url_expires_at")}
        more = {"file_path": found[0]["name"], "job_id": found[0]["job_id"], "created_at": found[0]["created_at"]}
        return Response.json(200, view | more)
    return Response.json(200, _file_view(call, _file(call)))


def content(call: DialectCall) -> Answer:
    """GET /assets/{id}/content: leads to a link that needs no key; to S3 where only a part is wanted."""
    found, outputs = _output(call), call.services.outputs
    file = _stored(_file(call)) if found is None else found[1]
    from_s3 = "range" in call.request.headers and not outputs.sends_files
    location = outputs.presigned(file) if from_s3 else call.url_of(file)
    return Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


def delete(call: DialectCall) -> Answer:
    """DELETE /assets/{id}."""
    if _OUTPUT.fullmatch(call.path["asset"]):
        raise RequestError(403, "forbidden", "A job's results cannot be deleted; only files that were sent can.")
    call.services.files.delete(call.tenant, call.path["asset"])
    return Response(status=204)


def with_links(call: DialectCall, workflow: Any) -> Any:
    """A workflow with links in place of references to assets.

    Raises:
        InvalidRequestError: The caller has no such asset, or there are more than _MAX_REFERENCES.
    """
    links: dict[str, str] = {}

    def linked(value: Any) -> Any:
        if isinstance(value, list):
            return [linked(one) for one in value]
        if not isinstance(value, dict):
            return value
        if value.get("__type") != REFERENCE:
            return {name: linked(one) for name, one in value.items()}
        info = value.get("info")
        asset_id = str(info.get("id")) if isinstance(info, Mapping) else ""
        if asset_id not in links:
            if len(links) == _MAX_REFERENCES:
                raise InvalidRequestError([FieldError(REFERENCE, f"stands for more than {_MAX_REFERENCES} assets")])
            links[asset_id] = _link(call, asset_id)
        return links[asset_id]

    return linked(workflow)


def _link(call: DialectCall, asset_id: str) -> str:
    try:
        if (match := _OUTPUT.fullmatch(asset_id)) is not None:
            return s3_url(call.services.bucket, _result(call, match).key)
        return call.services.files.get(call.tenant, asset_id).s3
    except RequestError:
        problem = f"is missing: there is no asset {asset_id[:100]}; send it again"
        raise InvalidRequestError([FieldError(REFERENCE, problem)]) from None


def _output(call: DialectCall) -> tuple[dict[str, Any], StoredFile] | None:
    """The result that a path names, as its job shows it and where it is; None where it names a file."""
    if (match := _OUTPUT.fullmatch(call.path["asset"])) is None:
        return None
    file, job = _result(call, match), call.job(match["job"])
    view = outputs_of(call, job)[int(match["number"]) - 1]
    return {**view, "created_at": moment(job.ended_s)}, file


def _result(call: DialectCall, match: re.Match[str]) -> StoredFile:
    files = dict(enumerate(call.files(call.job(match["job"])), start=1))
    if (file := files.get(int(match["number"]))) is None:
        raise RequestError(404, "not_found", f"The job has {len(files)} results.")
    return file


def _file(call: DialectCall) -> KeptFile:
    return call.services.files.get(call.tenant, call.path["asset"])


def _stored(file: KeptFile) -> StoredFile:
    return StoredFile(key=split_s3_url(file.s3)[1], content_type=file.content_type, name=file.name)


def _file_view(call: DialectCall, file: KeptFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "hash": None,
        "size_bytes": file.size_bytes,
        "content_type": file.content_type,
        "file_path": file.name,
        "created_new": True,
        "created_at": moment(file.expires_s - FILE_DAYS * 24 * 3600),
        "url": call.url_of(_stored(file)),
        "url_expires_at": moment(call.services.outputs.links_end_s),
        "expires_at": moment(file.expires_s),
    }
