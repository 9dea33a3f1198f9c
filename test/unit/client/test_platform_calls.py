"""Calls that read several pages, without a connection."""

import httpx

from sd_on_eks.calls import platform


def run(flow, *pages):
    """The queries that a flow sends, and what it returns after these answers."""
    queries, request = [], next(flow)
    for page in pages:
        queries.append({name: value for name, value in request.params.items() if value is not None})
        try:
            request = flow.send(httpx.Response(200, json=page, request=httpx.Request("GET", "http://api")))
        except StopIteration as ended:
            return queries, ended.value
    raise AssertionError("the flow asks for more")


def delivery(number):
    known = {"job": "j", "event": "completed", "state": "delivered", "sent_at": "2026-11-30T12:00:00Z"}
    return {"id": f"d{number}", "attempts": 1, **known}


def test_the_deliveries_of_all_jobs_are_read_page_by_page():
    first, last = ({"deliveries": [delivery(number)], "next": after} for number, after in ((1, "c"), (2, None)))
    queries, found = run(platform.deliveries(), first, last)
    assert queries == [{}, {"cursor": "c"}]
    assert [one.id for one in found] == ["d1", "d2"]


def test_the_deliveries_of_a_job_are_one_page_where_the_api_names_no_next_one():
    queries, found = run(platform.deliveries("some-job"), {"deliveries": [delivery(1)]})
    assert queries == [{"job": "some-job"}]
    assert [one.id for one in found] == ["d1"]
