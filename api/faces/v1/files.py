"""Files: uploaded once, then read by jobs through an s3:// link in their content."""

from typing import Any

from api.errors import InvalidRequestError
from api.faces.v1.models.files import FileView, UploadRequest, UploadView
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response
from api.operations.files import KeptFile, Upload
from api.request import read_file
from contract.field_errors import FieldError
from contract.times import time_of

ROUTES = Routes()


@ROUTES.add("POST", "/files", body=UploadRequest, takes_form=True, answers={201: FileView})
def send_file(call: ApiCall) -> Answer:
    """Upload a file.

    To store a small file at once, send a form (`multipart/form-data`) with one file: up to about 4 MB behind API
    Gateway, else 10 MiB. For a larger file, up to 64 MiB, send its name and size as JSON, then upload it to S3 with the
    request in `upload`. Jobs read the file through its `s3` link, in any field that takes a link; only jobs of the same
    API key can. You need not upload a file that is already on the web: put its https:// link into the content.
    """
    if call.body is None:
        sent = read_file(call.request)
        if not sent.data:
            raise InvalidRequestError([FieldError("file", "is empty")])
        return _created(call, call.services.files.keep(call.tenant, sent.file or "", sent.data))
    try:
        asked = call.read_body(UploadRequest)
    except InvalidRequestError as exc:
        raise InvalidRequestError(_errors(exc.errors, call.body)) from None
    described = call.tenant, asked.name, asked.content_type, asked.size
    return _created(call, *call.services.files.upload(*described, base_url=call.request.base_url))


@ROUTES.add("GET", "/files/{file}", answers={200: FileView})
def get_file(call: ApiCall) -> Answer:
    """Get a file's description."""
    return Response.json(200, _view(call.services.files.get(call.tenant, call.path["file"])))


@ROUTES.add("DELETE", "/files/{file}", answers={204: None})
def delete_file(call: ApiCall) -> Answer:
    """Delete a file.

    Jobs that have not read it yet will fail. Deleting a file that does not exist succeeds.
    """
    call.services.files.delete(call.tenant, call.path["file"])
    return Response(status=204)


def _errors(found: list[FieldError], body: Any) -> list[FieldError]:
    if isinstance(body, dict) and "url" in body:
        detail = "is not fetched: put the link itself into the content of your job, where the file belongs"
        return [FieldError("url", detail), *(one for one in found if one.pointer != "url")]
    return found


def _created(call: ApiCall, file: KeptFile, upload: Upload | None = None) -> Response:
    location = f"{call.request.base_url}/v1/files/{file.id}"
    return Response.json(201, _view(file, upload), {"Location": location})


def _view(file: KeptFile, upload: Upload | None = None) -> FileView:
    return FileView(
        file=file.id,
        s3=file.s3,
        name=file.name,
        content_type=file.content_type,
        bytes=file.size_bytes,
        expires_at=time_of(round(file.expires_s)),
        upload=None
        if upload is None
        else UploadView(
            method="PUT",
            url=upload.url,
            headers=dict(upload.headers),
            expires_at=time_of(round(upload.expires_s)),
        ),
    )
