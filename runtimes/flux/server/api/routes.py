"""The HTTP routes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from contract.field_errors import FieldError
from runtimes.flux.families import EDIT
from runtimes.flux.server.api.bodies import (
    BodyReader,
    JobSubmission,
    generation_type,
    pictures_body,
    split_job_id,
    task_type_of,
)
from runtimes.flux.server.engine.engine import Engine
from runtimes.flux.server.engine.jobs import ServerJob, ServerJobError, ServerJobs
from runtimes.flux.server.errors import InvalidGenerationError

TaskTypeOf = Callable[[Mapping[str, Any]], str]
_STATUS = {"cancelled": 409, "deadline": 504, "worker_lost": 503}
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_ALIVE_S = 15.0
_QUICK_BYTES = 4 * 1024 * 1024


def router(engine: Engine) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()
    bodies = BodyReader()
    _add_pictures(routes, engine, bodies)
    _add_jobs(routes, engine, bodies)

    @routes.get("/health", summary="How the server is")
    async def get_health() -> JSONResponse:
        health = engine.health()
        return JSONResponse(health, 200 if health["ready"] else 503)

    @routes.get("/ping", summary="Whether it takes requests, as SageMaker asks")
    async def get_ping() -> Response:
        return Response(status_code=200 if engine.health()["ready"] else 503)

    @routes.get("/metrics", summary="Figures for Prometheus")
    async def get_metrics() -> Response:
        return Response(engine.metrics.text(), media_type=_PROMETHEUS)

    return routes


def _add_pictures(routes: APIRouter, engine: Engine, bodies: BodyReader) -> None:
    """Add the routes that respond with pictures."""

    async def submitted(request: Request, task_type: TaskTypeOf) -> tuple[ServerJob, bool]:
        async with bodies.object_of(request) as content:
            rest, job_id = split_job_id(content)
            return await engine.submit(rest, task_type(content), job_id)

    async def drawn(request: Request, task_type: TaskTypeOf = generation_type) -> ServerJob:
        # No variable of this frame refers to the body, so its memory is free while the job runs.
        return await _succeeded(engine, request, *await submitted(request, task_type))

    async def answered(job: ServerJob) -> Response:
        is_quick = job.size_bytes <= _QUICK_BYTES  # a switch of threads would take longer
        body = pictures_body(job) if is_quick else await asyncio.to_thread(pictures_body, job)
        return Response(body, media_type="application/json")

    @routes.post("/generate", summary="Draw, from words or from an image")
    async def generate(request: Request) -> Response:
        return await answered(await drawn(request))

    @routes.post("/edit", summary="Change an image by instructions")
    async def edit(request: Request) -> Response:
        return await answered(await drawn(request, lambda _: EDIT))

    @routes.post("/generate_view", summary="Draw, and answer with the picture itself")
    async def generate_view(request: Request) -> Response:
        return _first_picture(await drawn(request))

    @routes.post("/invocations", summary="Draw or edit, as SageMaker calls a model")
    async def invoke(request: Request) -> Response:
        job = await drawn(request, task_type_of)
        wants_picture = request.headers.get("accept", "").strip().startswith("image/")
        return _first_picture(job) if wants_picture else await answered(job)


def _add_jobs(routes: APIRouter, engine: Engine, bodies: BodyReader) -> None:
    """Add the routes of jobs, whose progress and outputs callers fetch later."""
    jobs = engine.jobs

    def known(job_id: UUID) -> ServerJob:
        job = jobs.get(str(job_id))
        if job is None:
            raise HTTPException(404, "no such job")
        return job

    @routes.post("/jobs", summary="Post a job for later", status_code=202)
    async def post_job(request: Request) -> JSONResponse:
        async with bodies.object_of(request) as content:
            submission = JobSubmission.read(content)
            job_id = str(submission.job_id) if submission.job_id else None
            try:
                job, is_new = await engine.submit(submission.request, submission.task_type, job_id)
            except InvalidGenerationError as exc:
                errors = [FieldError(f"request.{one.pointer}".rstrip("."), one.detail) for one in exc.field_errors]
                raise InvalidGenerationError(errors) from exc
        return JSONResponse({"job_id": job.id, "state": job.state.value}, 202 if is_new else 200)

    @routes.get("/jobs", summary="Ids of all jobs, by state")
    async def list_jobs() -> dict[str, list[str]]:
        return jobs.by_state()

    @routes.get("/jobs/{job_id}", summary="How a job is")
    async def get_job(job_id: UUID) -> dict[str, Any]:
        return jobs.row(known(job_id))

    @routes.get("/jobs/{job_id}/events", summary="A job's changes as they come", response_class=StreamingResponse)
    async def follow_job(job_id: UUID) -> StreamingResponse:
        events = job_events(known(job_id), jobs)
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @routes.get("/jobs/{job_id}/outputs/{number}", summary="An output's bytes", response_class=Response)
    async def get_output(job_id: UUID, number: int) -> Response:
        output = jobs.fetch(known(job_id), number)
        if output is None:
            raise HTTPException(404, "no such output")
        return Response(output.content, media_type=output.content_type)

    @routes.delete("/jobs/{job_id}", summary="Withdraw, stop or forget a job", status_code=204)
    async def delete_job(job_id: UUID) -> Response:
        engine.cancel(known(job_id))
        return Response(status_code=204)


def _first_picture(job: ServerJob) -> Response:
    """A job's first picture, with its seed and the job's id beside it."""
    headers = {"X-Job-Id": job.id, "X-Seed": str(job.request.seeds[0])}
    picture = job.outputs[1]
    return Response(picture.content, media_type=picture.content_type, headers=headers)


async def _succeeded(engine: Engine, request: Request, job: ServerJob, is_new: bool) -> ServerJob:
    """Wait until a job succeeds. A new job is forgotten afterwards: only this caller gets its pictures.

    Raises:
        HTTPException: The job failed, or did not end in time.
        InvalidGenerationError: The model refused it.
    """
    try:
        await _until_end(engine, request, job, is_new)
    finally:
        if is_new:
            engine.jobs.forget(job)
    error = job.error
    if error is None:
        return job
    if error.code == "refused":
        raise InvalidGenerationError([FieldError("", error.message)])
    raise HTTPException(_STATUS.get(error.code, 500), error.message)


async def _until_end(engine: Engine, request: Request, job: ServerJob, is_new: bool) -> None:
    """Wait until a job ends. Stop a new job if it takes too long or its caller hangs up.

    Raises:
        HTTPException: The wait timed out, but the job belongs to another call and goes on.
    """
    ended = asyncio.create_task(job.ended.wait(), name="job ends")
    gone = asyncio.create_task(_hang_up(request), name="caller hangs up")
    seconds = engine.settings.model_options.request_seconds
    late = f"the job was not done after {seconds:g} s"
    try:
        await asyncio.wait({ended, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if job.has_ended:
            return
        if not is_new:
            raise HTTPException(504, f"{late}, and goes on")
        if gone.done():
            engine.cancel(job)
        else:
            engine.scheduler.stop(job, ServerJobError("deadline", late))
    finally:
        ended.cancel()
        gone.cancel()


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def job_events(job: ServerJob, jobs: ServerJobs) -> AsyncIterator[bytes]:
    """Stream a job's current state and each change until its end, as server-sent events (html.spec.whatwg.org, 9.2)."""
    with job.followed() as events:
        kind, content = "state", jobs.row(job)
        if job.has_ended:
            events.put_nowait(("end", content))
        while True:
            yield f"event: {kind}\ndata: {json.dumps(content)}\n\n".encode()
            if kind == "end":
                return
            while True:
                try:
                    async with asyncio.timeout(_ALIVE_S):
                        kind, content = await events.get()
                    break
                except TimeoutError:
                    yield b": alive\n\n"  # reveals whether the caller is still connected
