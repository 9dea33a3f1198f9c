"""Webhooks: the secret that signs them, its rotation, and their deliveries."""

import math
import re
import time

from api.errors import InvalidRequestError, RequestError
from api.faces.v1.models.webhooks import DeliveryPage, DeliveryQuery, DeliveryView, SecretView
from api.faces.v1.routes import ApiCall, Routes
from api.http import Answer, Response
from api.operations.history import JobFilter
from contract.field_errors import FieldError
from contract.ids import JOB_ID_PATTERN
from contract.times import time_of
from courier.delivery import job_of_delivery
from courier.log import RETENTION_S, LoggedDelivery
from courier.operations import WebhookOperations
from courier.secrets import IssuedSecret, RotationTooSoonError

ROUTES = Routes()
_PRIVATE = {"Cache-Control": "no-store"}
_JOBS_A_PAGE = 50
"""Jobs whose deliveries a page has; the table is read for each."""


@ROUTES.add("GET", "/webhooks/secret", answers={200: SecretView}, problems=(404,))
def get_secret(call: ApiCall) -> Answer:
    """Get the secret that signs your webhooks.

    With it, receivers verify that a webhook comes from this platform. Any Standard Webhooks library can do that.
    """
    return _secret(_operations(call).secret(call.tenant))


@ROUTES.add("POST", "/webhooks/secret/rotate", answers={200: SecretView}, problems=(404, 409))
def rotate_secret(call: ApiCall) -> Answer:
    """Rotate the secret that signs your webhooks.

    For a day, webhooks are signed with both the old and the new secret. 409 until that day is over.
    """
    try:
        return _secret(_operations(call).rotate(call.tenant))
    except RotationTooSoonError as exc:
        wait = {"Retry-After": str(max(1, math.ceil(exc.possible_s - time.time())))}
        raise RequestError(409, "rotated_recently", str(exc), headers=wait) from None


@ROUTES.add("GET", "/webhooks/deliveries", query=DeliveryQuery, answers={200: DeliveryPage}, problems=(404,))
def list_deliveries(call: ApiCall) -> Answer:
    """List the deliveries of webhooks, of one job or of yours, newest job first.

    Of each job there is the latest delivery of each kind of event. Deliveries are kept for seven days. A page may have
    few deliveries, or none, even if more follow.
    """
    query, history, operations = call.query, call.services.history, _operations(call)
    if query.job is not None:
        jobs, last = [history.get(call.caller, query.job)], None
    else:
        if query.cursor is not None and not re.fullmatch(JOB_ID_PATTERN, query.cursor):
            raise InvalidRequestError([FieldError("?cursor", "must be `next` of the page before")])
        wanted = JobFilter(since_s=time.time() - RETENTION_S)
        page, last = history.page(call.tenant, wanted=wanted, limit=_JOBS_A_PAGE, start=query.cursor)
        jobs = [job for job in page if job.webhook is not None]
    rows = [_delivery(row) for job in jobs for row in operations.deliveries(job.id)]
    return Response.json(200, DeliveryPage(deliveries=rows, next=last))


@ROUTES.add("POST", "/webhooks/deliveries/{delivery}/replay", answers={202: None})
def replay_delivery(call: ApiCall) -> Answer:
    """Send a webhook again.

    It has the same id, so the receiver recognizes it. Progress webhooks are never sent again.
    """
    delivery = call.path["delivery"]
    job = job_of_delivery(delivery)
    if job is not None:
        call.services.history.get(call.caller, job)
    if job is None or not _operations(call).replay(job, delivery):
        raise RequestError(
            404, "not_found", "There is no such delivery that can be repeated, or it is older than a week."
        )
    return Response(status=202)


def _operations(call: ApiCall) -> WebhookOperations:
    operations = call.services.webhooks
    if operations is None:
        raise RequestError(404, "not_found", "Webhooks are switched off here.")
    return operations


def _secret(issued: IssuedSecret) -> Response:
    until_s = issued.previous_until_s
    view = SecretView(
        secret=issued.secret,
        version=issued.version,
        previous_until=None if until_s is None else time_of(until_s),
    )
    return Response.json(200, view, _PRIVATE)


def _delivery(row: LoggedDelivery) -> DeliveryView:
    delivery = row.delivery
    return DeliveryView(
        id=delivery.id,
        job=delivery.job,
        event=delivery.event,
        state=row.state,
        attempts=delivery.attempt,
        status=row.status,
        problem=row.problem,
        sent_at=time_of(row.sent_s),
        next_at=None if row.next_s is None else time_of(row.next_s),
    )
