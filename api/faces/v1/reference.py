"""The API's own description."""

from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response
from runtimes.spec import load

ROUTES = Routes()
_DOCUMENT = "api.faces.v1.openapi:document"
"""Loaded when the first caller asks for it: schemas take a second."""
_FOR_A_WHILE = {"Cache-Control": "public, max-age=300"}


@ROUTES.add("GET", "/openapi.json", answers={200: "application/json"}, is_public=True)
def openapi(call: ApiCall) -> Answer:
    """Get this document.

    It is OpenAPI 3.1, from which clients can be made.
    """
    document = load(_DOCUMENT)(call.services.catalog)
    return Response.json(200, {**document, "servers": [{"url": call.request.base_url or "/"}]}, _FOR_A_WHILE)
