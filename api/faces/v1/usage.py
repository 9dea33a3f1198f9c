"""Usage: numbers of jobs and pictures, and GPU seconds."""

from datetime import UTC, date, datetime, time, timedelta

from api.errors import InvalidRequestError
from api.faces.v1.models.usage import UsageQuery, UsageRow, UsageView
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response
from contract.field_errors import FieldError
from jobs.job import JobState

ROUTES = Routes()
_DEFAULT_DAYS = 30
_MAX_DAYS = 92
"""Jobs are kept for 90 days."""


@ROUTES.add("GET", "/usage", query=UsageQuery, answers={200: UsageView}, problems=(403,))
def get_usage(call: ApiCall) -> Answer:
    """Get what your jobs used, by runtime.

    A job counts on the day it was submitted, in UTC. An answer covers at most 20,000 jobs; if there are more, pass
    `next` as `cursor` and add up the rows. Jobs that have not ended count without pictures and GPU seconds.
    """
    query: UsageQuery = call.query
    tenant = call.whose(query.tenant)
    last = query.last or datetime.now(UTC).date()
    first = query.first or last - timedelta(days=_DEFAULT_DAYS - 1)
    if not timedelta() <= last - first < timedelta(days=_MAX_DAYS):
        raise InvalidRequestError(
            [FieldError("?from", f"must be at most {_MAX_DAYS - 1} days before ?to, not after it")]
        )
    by_day = query.by == "day"
    until_s = _midnight_s(last) + timedelta(days=1).total_seconds()
    found, cursor = call.services.usage.of(tenant, _midnight_s(first), until_s, by_day=by_day, start=query.cursor)
    rows = [
        UsageRow(
            day=day,
            runtime=runtime,
            jobs=used.jobs,
            succeeded=used.states[JobState.SUCCEEDED],
            failed=used.states[JobState.FAILED],
            cancelled=used.states[JobState.CANCELLED],
            pictures=used.pictures,
            gpu_seconds=round(used.gpu_s, 3),
        )
        for (day, runtime), used in found.items()
    ]
    return Response.json(200, UsageView(rows=rows, next=cursor))


def _midnight_s(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()
