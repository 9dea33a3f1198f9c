"""Icons: find them by words, have the missing ones drawn, and keep the library."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from api.errors import RequestError
from api.faces.v1.models.icons import (
    DrawingIconView,
    FoundIconView,
    IconCountView,
    IconImportRequest,
    IconImportView,
    IconNeedView,
    IconPage,
    IconQuery,
    IconRebuildView,
    IconReportView,
    IconRequest,
    IconResolveRequest,
    IconSearchRequest,
    IconSearchView,
    IconView,
    ResolvedIconView,
)
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response, Wait
from api.request import traceparent
from contract.times import time_of
from jobs.job import Job

if TYPE_CHECKING:  # the library is imported by the first request for it
    from api.operations.icons import IconService
    from icons.icon import Icon
    from icons.needs import NeedRecord
    from icons.report import IconReport, IconRow

ROUTES = Routes()
_RETRY_S = 2
_NOT_STORED = {"Cache-Control": "no-store"}


@ROUTES.add("POST", "/icons/search", body=IconSearchRequest, answers={200: IconSearchView}, problems=(404,))
def search_icons(call: ApiCall) -> Answer:
    """Search the icon library.

    Icons are ranked by meaning and by words. `accepted` says whether the best one is good enough to be used without a
    look at it.
    """
    service, asked = _service(call), call.read_body(IconSearchRequest)
    found = service.search(asked.query, top_k=asked.top_k, category=asked.category, threshold=asked.threshold)
    icons = [
        FoundIconView(**_values(call, match.icon), similarity=_rounded(match.similarity)) for match in found.matches
    ]
    accepted = None if found.accepted is None else found.accepted.icon.key
    return Response.json(200, IconSearchView(icons=icons, accepted=accepted))


@ROUTES.add(
    "POST",
    "/icons/resolve",
    body=IconResolveRequest,
    answers={200: ResolvedIconView, 202: DrawingIconView},
    problems=(404, 409, 422, 502),
)
def resolve_icon(call: ApiCall) -> Answer:
    """Get an icon, drawn if the library has none.

    An icon of the library is answered at once. Otherwise a job draws it with a transparent ground; the answer comes
    when it is there, or after `wait` seconds as 202 with the job. Send the same request again to get the icon: however
    often it is sent, the icon is drawn once. What the model refused to draw is 422 for a day.
    """
    from icons.resolve import DrawingIcon, FoundIcon

    service, asked = _service(call), call.read_body(IconResolveRequest)

    def answer(outcome: FoundIcon | DrawingIcon) -> Response:
        if isinstance(outcome, DrawingIcon):
            return _drawing(call, outcome.job)
        values = _values(call, outcome.icon, as_svg=asked.format == "svg")
        view = ResolvedIconView(**values, similarity=_rounded(outcome.similarity), drawn=outcome.was_drawn)
        return Response.json(200, view, _NOT_STORED)

    first = service.resolve(asked.query, asked.style, asked.size, call.caller, traceparent(call.request))
    if not isinstance(first, DrawingIcon):
        return answer(first)
    return Wait(
        job=first.job,
        is_over=lambda latest: latest.state.is_final,
        seconds=asked.wait,
        render=lambda latest: answer(service.after(first.need, latest, call.caller)),
    )


@ROUTES.add("GET", "/icons", query=IconQuery, answers={200: IconPage}, problems=(404,))
def list_icons(call: ApiCall) -> Answer:
    """List the icons of the library.

    Pass `next` as `cursor` to get the next page, until it is null.
    """
    query: IconQuery = call.query
    found = sorted(
        (
            icon
            for icon in _service(call).library.icons.values()
            if query.category in (None, icon.category)
            and query.status in (None, icon.status.value)
            and (query.cursor is None or icon.key > query.cursor)
        ),
        key=lambda icon: icon.key,
    )
    page = found[: query.limit]
    icons = [IconView(**_values(call, icon)) for icon in page]
    return Response.json(200, IconPage(icons=icons, next=page[-1].key if len(found) > len(page) else None))


@ROUTES.add("GET", "/icons/report", answers={200: IconReportView}, problems=(404,))
def get_icon_report(call: ApiCall) -> Answer:
    """Get a report on what the library saves.

    It names what is missed most, what is drawn most, and which drawn icons to publish or to delete. With
    `Accept: text/html` it is a page. Only for admin keys.
    """
    from icons.report_page import page, policy

    _check_admin(call)
    service = _service(call)
    report = service.report()
    if "text/html" not in call.request.headers.get("accept", ""):
        return Response.json(200, _report_view(report), _NOT_STORED)
    outputs = call.services.outputs

    def picture_of(icon: "Icon") -> str | None:
        file = service.file_of(icon)
        return None if file is None else outputs.link(file, call.request.base_url)

    shown = [url for row in (*report.publish, *report.delete, *report.most_hit) if (url := picture_of(row.icon))]
    origins = sorted({"{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in shown})
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy(" ".join(origins)),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        **_NOT_STORED,
    }
    return Response(status=200, headers=headers, body=page(report, picture_of).encode())


@ROUTES.add("POST", "/icons/import", body=IconImportRequest, answers={200: IconImportView}, problems=(404,))
def import_icons(call: ApiCall) -> Answer:
    """Import icons.

    Icons with new keys are added, others are replaced. If some have errors, all errors are listed and nothing is
    imported. Only for admin keys.
    """
    _check_admin(call)
    done = _service(call).import_icons(call.body)
    return Response.json(200, IconImportView(imported=done.imported, unchanged=done.unchanged, left=done.left))


@ROUTES.add("POST", "/icons/rebuild", answers={200: IconRebuildView}, problems=(404, 409))
def rebuild_icons(call: ApiCall) -> Answer:
    """Rebuild the index.

    The new index is made beside the old one, which answers until then. Pictures that were drawn without anybody waiting
    for them become icons. Only for admin keys.
    """
    _check_admin(call)
    made = _service(call).rebuild()
    return Response.json(200, IconRebuildView(index=made.index, icons=made.icons, taken_in=made.taken_in))


@ROUTES.add("GET", "/icons/{key...}", answers={200: IconView})
def get_icon(call: ApiCall) -> Answer:
    """Get an icon."""
    return Response.json(200, IconView(**_values(call, _service(call).get(_key(call)))))


@ROUTES.add("PUT", "/icons/{key...}", body=IconRequest, answers={200: IconView})
def put_icon(call: ApiCall) -> Answer:
    """Put an icon into the library.

    It replaces the one with the same key. Only for admin keys.
    """
    _check_admin(call)
    icon = _service(call).put(_key(call), call.read_body(IconRequest).model_dump())
    return Response.json(200, IconView(**_values(call, icon)))


@ROUTES.add("DELETE", "/icons/{key...}", answers={204: None})
def delete_icon(call: ApiCall) -> Answer:
    """Delete an icon from the library.

    Its picture stays in the bucket. Only for admin keys.
    """
    _check_admin(call)
    _service(call).delete(_key(call))
    return Response(status=204)


def _service(call: ApiCall) -> "IconService":
    service = call.services.icons
    if service is None:
        raise RequestError(404, "not_found", "There is no icon library here: config.yaml has no section icons.")
    return service


def _check_admin(call: ApiCall) -> None:
    if not call.caller.is_admin:
        raise RequestError(403, "forbidden", "Only a key with the role admin may do that.")


def _key(call: ApiCall) -> str:
    return unquote(call.path["key"])


def _drawing(call: ApiCall, job: Job) -> Response:
    here = f"{call.request.base_url}/v1/jobs/{job.id}"
    view = DrawingIconView(job=job.id, state=job.state.value, retry_after_s=_RETRY_S, links={"job": here})
    return Response.json(202, view, {"Location": here, "Retry-After": str(_RETRY_S), **_NOT_STORED})


def _values(call: ApiCall, icon: "Icon", *, as_svg: bool = False) -> Mapping[str, Any]:
    """An icon as ``IconView`` has it."""
    outputs = call.services.outputs
    file = _service(call).file_of(icon, as_svg=as_svg)
    values = icon.model_dump(mode="json")
    if file is None:
        url = icon.s3_url if icon.s3_url.startswith("https://") else None
        return {**values, "url": url, "expires_at": None, "format": _format_of(urlsplit(icon.s3_url).path)}
    link = outputs.signed(file)
    return {
        **values,
        "url": f"{call.request.base_url}/{link.path}",
        "expires_at": time_of(link.expires_s),
        "format": _format_of(file.key),
    }


def _format_of(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name.rpartition("/")[2] else ""


def _rounded(similarity: float | None) -> float | None:
    return None if similarity is None else round(similarity, 3)


def _report_view(report: "IconReport") -> IconReportView:
    values = {name: getattr(report, name) for name in IconReportView.model_fields}
    counted = {name: [_counted(row) for row in values[name]] for name in ("most_hit", "publish", "delete")}
    needed = {name: [_needed(row) for row in values[name]] for name in ("most_missed", "most_drawn")}
    return IconReportView.model_validate({**values, **counted, **needed})


def _counted(row: "IconRow") -> IconCountView:
    last_hit_at = None if row.last_s is None else time_of(row.last_s)
    icon = row.icon
    return IconCountView(key=icon.key, description=icon.description, hits=row.hits, last_hit_at=last_hit_at)


def _needed(row: "NeedRecord") -> IconNeedView:
    return IconNeedView(
        query=row.need.query,
        style=row.need.style,
        category=row.category,
        asked=row.asked,
        icon=row.icon,
        error=None if row.error is None else row.error.code,
    )
