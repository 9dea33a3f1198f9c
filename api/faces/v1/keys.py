"""The caller's own API key."""

from api.faces.v1.models.keys import KeyView, NamedKey
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response

ROUTES = Routes()


@ROUTES.add("GET", "/key", answers={200: KeyView})
def get_key(call: ApiCall) -> Answer:
    """Get what your key may do.

    An admin key also gets the ids of the other keys, for `?tenant=`.
    """
    caller, known = call.caller, call.services.settings.keys
    view = KeyView(
        id=call.tenant,
        role="admin" if caller.is_admin else "user",
        jobs_per_day=caller.jobs_per_day,
        queued_jobs=caller.queued_jobs,
        keys=[NamedKey(id=key, name=may.get("name", key)) for key, may in known.items()] if caller.is_admin else [],
    )
    return Response.json(200, view)
