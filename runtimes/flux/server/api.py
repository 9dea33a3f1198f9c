"""The HTTP routes."""

import asyncio
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from contract.field_errors import FieldError
from runtimes.flux.families import EDIT
from runtimes.flux.server.bodies import generation_type, pictures_body, read_submission, split_job_id
from runtimes.flux.server.events import MEDIA_TYPE, job_events
from runtimes.flux.server.health import health
from runtimes.flux.server.intake import Intake
from runtimes.flux.server.jobs import Job, State
from runtimes.flux.server.metrics import Metrics
from runtimes.flux.server.orders import RequestFaults
from runtimes.flux.server.service import ConflictError, Service

_STATUS = {"cancelled": 409, "deadline": 504, "worker_lost": 503}
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def router(service: Service, metrics: Metrics) -> APIRouter:
    """Make the routes."""
    routes = APIRouter()
    intake = Intake()
    _add_pictures(routes, service, intake)
    _add_jobs(routes, service, intake)

    @routes.get("/health", summary="How the server is")
    async def tell_health() -> JSONResponse:
        state = health(service)
        return JSONResponse(state, 200 if state["ready"] else 503)

    @routes.get("/metrics", summary="Figures for Prometheus")
    async def tell_metrics() -> Response:
        return Response(metrics.text(), media_type=_PROMETHEUS)

    return routes


def _add_pictures(routes: APIRouter, service: Service, intake: Intake) -> None:
    """Routes that answer with pictures, when they are there."""

    async def drawn(request: Request, task_type: str | None = None) -> Job:
        return await _done(service, request, *await _taken(service, intake, request, task_type))

    @routes.post("/generate", summary="Draw, from words or from an image")
    async def generate(request: Request) -> Response:
        return Response(await pictures_body(await drawn(request)), media_type="application/json")

    @routes.post("/edit", summary="Change an image as it is told")
    async def edit(request: Request) -> Response:
        return Response(await pictures_body(await drawn(request, EDIT)), media_type="application/json")

    @routes.post("/generate_view", summary="Draw, and answer with the picture itself")
    async def generate_view(request: Request) -> Response:
        job = await drawn(request)
        headers = {"X-Job-Id": job.id, "X-Seed": str(job.asked.order.seeds[0])}
        picture = job.outputs[1]
        return Response(picture.content, media_type=picture.content_type, headers=headers)


def _add_jobs(routes: APIRouter, service: Service, intake: Intake) -> None:
    """Routes for jobs that are followed and fetched."""
    book = service.book

    def known(job_id: UUID) -> Job:
        job = book.get(str(job_id))
        if job is None:
            raise HTTPException(404, "no such job")
        return job

    @routes.post("/jobs", summary="Post a job for later", status_code=202)
    async def post_job(request: Request) -> JSONResponse:
        async with intake.object_of(request) as content:
            job, new = await _posted(service, content)
        return JSONResponse({"job_id": job.id, "state": job.state.value}, 202 if new else 200)

    @routes.get("/jobs", summary="Ids of all jobs, by state")
    async def list_jobs() -> dict[str, list[str]]:
        return book.by_state()

    @routes.get("/jobs/{job_id}", summary="How a job is")
    async def tell_job(job_id: UUID) -> dict[str, Any]:
        return book.row(known(job_id))

    @routes.get("/jobs/{job_id}/events", summary="A job's changes as they come", response_class=StreamingResponse)
    async def follow_job(job_id: UUID) -> StreamingResponse:
        events = job_events(known(job_id), book)
        return StreamingResponse(events, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})

    @routes.get("/jobs/{job_id}/outputs/{number}", summary="An output's bytes", response_class=Response)
    async def tell_output(job_id: UUID, number: int) -> Response:
        output = book.fetch(known(job_id), number)
        if output is None:
            raise HTTPException(404, "no such output")
        return Response(output.content, media_type=output.content_type)

    @routes.delete("/jobs/{job_id}", summary="Withdraw, stop or forget a job", status_code=204)
    async def delete_job(job_id: UUID) -> Response:
        service.cancel(known(job_id))
        return Response(status_code=204)


async def _posted(service: Service, content: dict[str, Any]) -> tuple[Job, bool]:
    """Submit a job for later; gives it, and whether it is new."""
    submission = read_submission(content)
    job_id = str(submission.job_id) if submission.job_id else None
    try:
        return await _submitted(service, submission.request, submission.task_type, job_id)
    except RequestFaults as exc:
        faults = [FieldError(f"request.{fault.pointer}".rstrip("."), fault.detail) for fault in exc.faults]
        raise RequestFaults(faults) from exc


async def _taken(service: Service, intake: Intake, request: Request, task_type: str | None) -> tuple[Job, bool]:
    """Read a request for pictures and submit it; of its body nothing is held afterwards, however long the job takes.

    Without a task type its images tell it. Gives its job, and whether it is new.
    """
    async with intake.object_of(request) as content:
        rest, job_id = split_job_id(content)
        return await _submitted(service, rest, task_type or generation_type(content), job_id)


async def _submitted(service: Service, content: dict[str, Any], task_type: str, job_id: str | None) -> tuple[Job, bool]:
    try:
        return await service.submit(content, task_type, job_id)
    except ConflictError as exc:
        raise HTTPException(409, str(exc)) from exc


async def _done(service: Service, request: Request, job: Job, new: bool) -> Job:
    """Wait until a job is done; a new one is forgotten then: its pictures go to this caller alone.

    Raises:
        HTTPException: It was not done.
    """
    try:
        await _until_end(service, request, job, new)
    finally:
        if new:
            service.book.forget(job)
    if job.state is State.SUCCEEDED:
        return job
    error = job.error
    if error is not None and error.code == "refused":
        raise RequestFaults([FieldError("", error.message)])
    raise HTTPException(_STATUS.get(error.code, 500) if error else 500, error.message if error else None)


async def _until_end(service: Service, request: Request, job: Job, new: bool) -> None:
    """Wait until a job has ended; a new one is stopped if its time is over or its caller is gone.

    Raises:
        HTTPException: It was begun by another call, and goes on.
    """
    ended = asyncio.create_task(job.ended.wait(), name="job ends")
    gone = asyncio.create_task(_hang_up(request), name="caller hangs up")
    waited = {ended, gone}
    try:
        seconds = service.settings.options.request_seconds
        done, _ = await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if job.has_ended:
            return
        if not new:
            raise HTTPException(504, f"the job was not done after {seconds:g} s, and goes on")
        if done:
            service.cancel(job)
        else:
            service.expire(job)
    finally:
        for task in waited:
            task.cancel()


async def _hang_up(request: Request) -> None:
    """Wait until the caller has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
