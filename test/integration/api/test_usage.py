"""What jobs used, and what a key may have."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from api.errors import BudgetError
from api.http import Caller
from api.operations.history import History, JobFilter
from api.operations.submission import Submissions, TaskSubmission, milliseconds
from api.operations.usage import UsageSums
from contract.ids import first_job_id, new_job_id
from jobs import commands

DAY = timedelta(days=1)


@pytest.fixture
def midday():
    """A time of today, so that no test is cut in two by midnight."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


def enter(api, at, number, *, tenant="local0key0", state="succeeded", run_s=0.0, pictures=0):
    """A job of a time, in a state."""
    job = first_job_id(at.timestamp() + number / 1000)
    task = api.rig.queued(job=job, tenant=tenant)
    if state != "queued":
        api.rig.claim(task)
        ending = {"now_s": time.time(), "attempts": 1, "pictures": ["png"] * pictures, "stages_s": {"run": run_s}}
        api.rig.update(commands.complete(job, "token", state, **ending))
    return job


def test_jobs_are_added_up_by_runtime_and_by_day_of_the_own_tenant_alone(api, midday):
    enter(api, midday, 0, run_s=1.5, pictures=2)
    enter(api, midday, 1, state="failed", run_s=0.25)
    enter(api, midday, 2, state="queued")
    enter(api, midday - DAY, 0, state="cancelled")
    enter(api, midday - 31 * DAY, 0)
    enter(api, midday, 3, tenant="other", run_s=9)
    today = {"jobs": 3, "succeeded": 1, "failed": 1, "cancelled": 0, "pictures": 2, "gpu_seconds": 1.75}
    before = {"jobs": 1, "succeeded": 0, "failed": 0, "cancelled": 1, "pictures": 0, "gpu_seconds": 0}
    name = {"runtime": api.rig.name}
    days = [str((midday - number * DAY).date()) for number in range(2)]
    by_day = api.get("/usage?by=day")
    assert by_day == {"rows": [{"day": days[0], **name, **today}, {"day": days[1], **name, **before}], "next": None}
    (whole,) = api.get("/usage")["rows"]
    assert whole == {"day": None, **name, **{key: today[key] + before[key] for key in today}}
    assert api.get(f"/usage?from={days[1]}&to={days[1]}")["rows"] == [{"day": None, **name, **before}]
    assert api.get("/usage?tenant=other", key="admin-key")["rows"][0]["gpu_seconds"] == 9
    assert api.call("GET", "/usage?tenant=other").status_code == 403
    assert api.call("GET", "/usage", key=None).status_code == 401


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("from=2026-02-30", "?from"),
        ("to=today", "?to"),
        ("from=2026-01-02&to=2026-01-01", "?from"),
        ("from=2026-01-01&to=2026-04-03", "?from"),
        ("by=week", "?by"),
        ("cursor=x", "?cursor"),
        ("form=2026-01-01", "?form"),
        ("first=2026-01-01", "?first"),
        ("to=0001-01-01", "?to"),
        ("to=9999-12-31", "?to"),
    ],
)
def test_a_question_with_an_error_is_refused(api, query, pointer):
    answer = api.call("GET", f"/usage?{query}")
    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (400, [pointer])


def test_a_key_has_as_many_jobs_a_day_as_it_may_and_a_repeated_request_counts_once(api):
    for _ in range(3):
        assert api.submit(key="daily", headers={"idempotency_key": "once"})
    for _ in range(2):
        api.submit(key="daily")
    refusal = api.call("POST", "/jobs", api.body(), key="daily")
    assert (refusal.status_code, refusal.json()["code"]) == (429, "over_budget")
    assert 0 < int(refusal.headers["retry-after"]) <= 24 * 3600
    assert api.submit(key="daily", headers={"idempotency_key": "once"})
    assert api.submit()  # other keys have what they may
    assert api.call("POST", "/jobs?dry_run=1", api.body(), key="daily").status_code == 200


def test_a_key_has_as_many_waiting_jobs_as_it_may_until_one_of_them_ends(api):
    jobs = [api.submit(key="waiting", headers={"idempotency_key": str(number)})["job"] for number in range(2)]
    for headers in ({}, {"idempotency_key": "third"}):
        refusal = api.call("POST", "/jobs", api.body(), key="waiting", **headers)
        assert (refusal.status_code, refusal.json()["code"], refusal.headers["retry-after"]) == (
            429,
            "over_budget",
            "30",
        )
    assert api.submit(key="waiting", headers={"idempotency_key": "1"})["job"] == jobs[1]
    api.call("POST", f"/jobs/{jobs[0]}/cancel", {}, key="waiting")
    assert api.submit(key="waiting", headers={"idempotency_key": "third"})


def test_requests_at_the_same_time_do_not_get_more_waiting_jobs_than_a_key_may_have(kit, monkeypatch):
    monkeypatch.setattr("api.operations.submission._INDEX_LAG_S", 60)  # longer than any request takes
    publisher = SimpleNamespace(is_large=lambda _: False, store=lambda task, *_, **__: task, publish=lambda *_: None)
    with kit.rig("sdwebui") as rig, ThreadPoolExecutor(10) as pool:
        submissions = Submissions(jobs=rig.store, publisher=publisher, keep_requests=False)
        caller = Caller(tenant="t", queued_jobs=3)

        def submit(_):
            times = {"accepted_s": milliseconds(time.time()), "start_s": 3600}
            job = new_job_id()
            asked = TaskSubmission(request=rig.task(), job=job, caller=caller, key=None, traceparent=None, **times)
            with suppress(BudgetError):
                return submissions.submit(asked)

        assert sum(job is not None for job in pool.map(submit, range(20))) == 3


def test_a_filter_that_finds_little_looks_at_so_many_jobs_and_says_where_to_go_on(kit, midday, monkeypatch):
    monkeypatch.setattr("api.operations.history.PAGE", 2)
    monkeypatch.setattr("api.operations.history.MAX_LOOKED_AT", 4)
    with kit.rig("sdwebui") as rig:
        api = SimpleNamespace(rig=rig)
        oldest = enter(api, midday, 0, tenant="t", state="failed")
        for number in range(1, 9):
            enter(api, midday, number, tenant="t")
        history = History(jobs=rig.store, notifier=None, make_s3=None, bucket="")
        pages, start = [], None
        while not pages or start:
            found, start = history.page("t", wanted=JobFilter(states=["failed"]), limit=1, start=start)
            pages.append([job.id for job in found])
        assert pages == [[], [], [oldest]]


def test_a_tenant_with_very_many_jobs_is_answered_in_parts_that_add_up(kit, midday):
    with kit.rig("sdwebui") as rig:
        api = SimpleNamespace(rig=rig)
        for number in range(5):
            enter(api, midday, number, tenant="t", pictures=1)
        history = History(jobs=rig.store, notifier=None, make_s3=None, bucket="")
        day = (midday.timestamp() - 1, midday.timestamp() + 1)
        counts, start = [], None
        while not counts or start:
            found, start = UsageSums(history, max_jobs=2).of("t", *day, by_day=False, start=start)
            counts += [used.pictures for used in found.values()]
        assert counts == [2, 2, 1]
