"""Batches: many jobs in one request, each accepted or rejected separately."""

import logging
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from api.errors import InvalidRequestError
from api.faces.v1.job_requests import read_request, submission_of
from api.faces.v1.jobs import view
from api.faces.v1.models.batches import MAX_BATCH_JOBS, BatchAnswer, BatchJob, BatchRequest, BatchView, SubmittedBatch
from api.faces.v1.models.jobs import JobView
from api.faces.v1.problems import problem_of
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response
from api.rejections import rejection_of
from api.request import IDEMPOTENCY_HEADER, key_errors, part_key
from contract.field_errors import MAX_FIELD_ERRORS, FieldError, suggestion
from contract.times import time_of
from jobs.dynamodb import AWS_ERRORS, error_name

ROUTES = Routes()
_AT_ONCE = 8

logger = logging.getLogger(__name__)


@ROUTES.add("POST", "/batches", body=BatchRequest, answers={202: SubmittedBatch}, headers=(IDEMPOTENCY_HEADER,))
def submit_batch(call: ApiCall) -> Answer:
    """Submit up to 100 jobs.

    Each job is accepted or rejected separately and has its own answer. With an `Idempotency-Key`, each job gets a key
    made from that key and its position, so sending the same batch again returns the jobs that it made before.
    """
    requests = _requests(call)

    def answer_to(index: int) -> BatchAnswer:
        try:
            asked = read_request(call, requests[index])
            submission = submission_of(call, asked, key=part_key(call.request, index, requests[index]))
            job = call.services.submissions.submit(submission)
        except Exception as exc:  # noqa: BLE001 (the other jobs have answers)
            return BatchAnswer(index=index, problem=problem_of(rejection_of(exc)))
        return BatchAnswer(index=index, job=JobView.model_validate(view(call, job, warnings=asked.warnings)))

    # What is left of a budget goes to the first ones, each of which is counted before the next.
    at_once = 1 if call.caller.has_budget else _AT_ONCE
    with ThreadPoolExecutor(at_once, thread_name_prefix="batch") as pool:
        answers = list(pool.map(answer_to, range(len(requests))))
    jobs = {one.index: one.job.job for one in answers if one.job is not None}
    batch = _entered(call, jobs) if jobs else None
    headers = {} if batch is None else {"Location": f"{call.request.base_url}/v1/batches/{batch}"}
    return Response.json(202, SubmittedBatch(batch=batch, answers=answers), headers)


def _entered(call: ApiCall, jobs: Mapping[int, str]) -> str | None:
    """The id of a batch, which is entered; None where AWS fails: its jobs are accepted, and their ids are answered."""
    try:
        return call.services.batches.enter(call.tenant, jobs)
    except AWS_ERRORS as exc:
        logger.warning("batch not entered: %s", error_name(exc))
        return None


@ROUTES.add("GET", "/batches/{batch}", answers={200: BatchView})
def get_batch(call: ApiCall) -> Answer:
    """Get the states of a batch's jobs."""
    batch = call.path["batch"]
    found = call.services.batches.get(call.caller, batch)
    states = Counter(found.states.values())
    view = BatchView(
        batch=batch,
        created_at=time_of(found.created_s),
        states=dict(states),
        jobs=[BatchJob(index=index, job=job, state=found.states.get(job)) for index, job in found.jobs.items()],
    )
    return Response.json(200, view)


def _requests(call: ApiCall) -> list[Any]:
    """The requests of a batch, not validated; raises InvalidRequestError for what is no batch."""
    errors = key_errors(call.request)
    body = call.body if isinstance(call.body, dict) else {}
    jobs = body.get("jobs")
    unknown = islice((key for key in body if key != "jobs"), MAX_FIELD_ERRORS)
    errors += [FieldError(key, f"is not a known key{suggestion(key, ('jobs',))}") for key in unknown]
    if not isinstance(jobs, list) or not 0 < len(jobs) <= MAX_BATCH_JOBS:
        errors.append(FieldError("jobs", f"must be a list of 1 to {MAX_BATCH_JOBS} requests"))
    if errors or not isinstance(jobs, list):
        raise InvalidRequestError(errors)
    return jobs
