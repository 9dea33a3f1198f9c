"""Outputs: the files of a job, by its number or by a link that needs no key."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from api.errors import RequestError
from api.faces.v1.models import OutputQuery
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

    They are numbered from 1, first the images, as the job lists them; 0 is the manifest. The answer is 303 with a link
    to S3, which is valid for 15 minutes; with `?redirect=false` it is the file itself. Behind API Gateway the file
    itself comes where it has at most 4.5 MB, and where `Accept` begins with a type of pictures, sound, films or
    `application/octet-stream`; else the answer is 303 nevertheless.
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
    """Get the latest picture of a job that runs.

    There is one where its request has `keep: ["preview"]` and its model server sends such pictures. It is answered as
    an output is.
    """
    job = call.services.history.get(call.caller, call.path["job"])
    file = call.services.outputs.preview(job)
    if file is None:
        raise RequestError(404, "not_found", f"The job, which is {job.state}, has no preview.")
    return _sent(call, file, cached_s=0)


@ROUTES.add("GET", "/outputs/{token}/{name}", query=OutputQuery, answers=_ANSWERS, is_public=True, problems=(403, 410))
def get_linked_output(call: ApiCall) -> Answer:
    """Get a file by a link of a job.

    It needs no key, and works until the link's `expires_at`. It is answered as an output is.
    """
    # No name has a percent sign, but some clients encode what need not be encoded.
    file = call.services.outputs.read(call.path["token"], unquote(call.path["name"]))
    return _sent(call, file, cached_s=_CACHED_S if file.content_type else 0)


def _sent(call: ApiCall, file: StoredFile, *, cached_s: int = _CACHED_S) -> Answer:
    outputs, query = call.services.outputs, call.query
    caching = {"Cache-Control": f"private, max-age={cached_s}" if cached_s else "no-store"}
    redirect = Response(status=303, headers={"Location": outputs.presigned(file), **caching})
    if query.redirect:
        return redirect
    opened = outputs.open(file)
    headers = {
        "Content-Type": opened.content_type or "application/octet-stream",
        **caching,
        **_harmless(file, opened.content_type),
    }
    return Download(headers=headers, size_bytes=opened.size_bytes, pieces=opened.pieces, redirect=redirect)


def _harmless(file: StoredFile, content_type: str) -> Mapping[str, str]:
    """Headers by which a browser runs nothing of a file in the name of the API's origin."""
    return {
        "Content-Disposition": file.disposition(content_type),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
