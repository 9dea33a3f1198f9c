"""Outputs: the files of a job, by number or by a link that needs no key."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from api.errors import RequestError
from api.faces.v1.models.outputs import OutputQuery
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Download, Response
from api.operations.outputs import PRESIGNED_S, StoredFile

ROUTES = Routes()
_ANSWERS = {200: "*/*", 303: None}
_CACHED_S = PRESIGNED_S // 3
"""How long a browser may remember where a link leads; what it leads to is then valid for a while."""
_NUMBER = re.compile(r"[0-9]{1,6}")


@ROUTES.add("GET", "/jobs/{job}/outputs/{number}", query=OutputQuery, answers=_ANSWERS)
def get_output(call: ApiCall) -> Answer:
    """Get a file of a job's result.

    Files are numbered from 1 in the job's order, images first; 0 is the manifest. The answer redirects (303) to S3 with
    a link that is valid for 15 minutes. `?redirect=false` sends the file itself. An API on a machine of its own, whose
    callers do not reach its S3, always does.
    """
    job = call.services.history.get(call.caller, call.path["job"])
    outputs = call.services.outputs
    number = int(call.path["number"]) if _NUMBER.fullmatch(call.path["number"]) else -1
    files = dict(enumerate(outputs.files(job), start=1))
    file = outputs.manifest(job) if number == 0 else files.get(number)
    if file is None:
        count = f"it has 1 to {len(files)}" if files else "it has none"
        raise RequestError(404, "not_found", f"The job, which is {job.state}, has no such output: {count}.")
    return _sent(call, file)


@ROUTES.add("GET", "/jobs/{job}/preview", query=OutputQuery, answers=_ANSWERS)
def get_preview(call: ApiCall) -> Answer:
    """Get the latest preview of a running job.

    There is one if the request had `keep: ["preview"]` and the model server makes previews. It is sent like an output.
    """
    job = call.services.history.get(call.caller, call.path["job"])
    file = call.services.outputs.preview(job)
    if file is None:
        raise RequestError(404, "not_found", f"The job, which is {job.state}, has no preview.")
    return _sent(call, file, cached_s=0)


@ROUTES.add("GET", "/outputs/{token}/{name}", query=OutputQuery, answers=_ANSWERS, is_public=True, problems=(403, 410))
def get_linked_output(call: ApiCall) -> Answer:
    """Get a file through a job's link.

    The link needs no key and works until its `expires_at`. The file is sent like an output.
    """
    # No name has a percent sign, but some clients encode what need not be encoded.
    file = call.services.outputs.read(call.path["token"], unquote(call.path["name"]))
    return _sent(call, file, cached_s=_CACHED_S if file.content_type else 0)


def _sent(call: ApiCall, file: StoredFile, *, cached_s: int = _CACHED_S) -> Answer:
    outputs, query = call.services.outputs, call.query
    caching = {"Cache-Control": f"private, max-age={cached_s}" if cached_s else "no-store"}
    if query.redirect and not outputs.sends_files:
        return Response(status=303, headers={"Location": outputs.presigned(file), **caching})
    opened = outputs.open(file)
    headers = {
        "Content-Type": opened.content_type or "application/octet-stream",
        **caching,
        **_harmless(file, opened.content_type),
    }
    return Download(headers=headers, size_bytes=opened.size_bytes, pieces=opened.pieces)


def _harmless(file: StoredFile, content_type: str) -> Mapping[str, str]:
    """Headers by which a browser runs nothing of a file in the name of the API's origin."""
    return {
        "Content-Disposition": file.disposition(content_type),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
