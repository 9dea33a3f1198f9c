"""From a task to a flux request, and what the server's events and answers say of a job."""

import base64
import json
import time

import pytest
from aiohttp import web
from driverkit import PNG, answer, client_of, signals, task_of

from jobs.job import Progress
from queue_agent.errors import ExecutionFailed, InvalidTask, Rejected, ServerError, ServerLoading
from queue_agent.media import Media
from queue_agent.ports import Capacity
from runtimes.flux.driver.answer import ServedModel, read_health, refusal, report_of
from runtimes.flux.driver.events import FluxJob, events_in
from runtimes.flux.driver.events import ServerEvent as Event
from runtimes.flux.driver.executor import Flux
from runtimes.flux.driver.request import request_of

INLINE, ENCODED = (base64.b64encode(data).decode() for data in (b"inline", b"picture"))
PICTURE = Media(b"picture", "png", "image/png")
SERVED = ServedModel(source="black-forest-labs/FLUX.1-schnell", steps=4, max_batch=4)
LINK = "https://example.com/i.png"
WORDS = {"prompt": f'a "cat" {LINK}', "negative_prompt": LINK, "seed": 3}


@pytest.mark.parametrize(
    ("tasktype", "content", "fields", "request_"),
    [
        ("text-to-image", WORDS, [], WORDS),
        (
            "inpainting",
            {"prompt": LINK, "image_url": "s3://b/i.png", "mask_url": LINK},
            ["image_url", "mask_url"],
            {"prompt": LINK, "image": ENCODED, "mask": ENCODED},
        ),
        (
            "edit",
            {"instructions": "a", "images": [INLINE, "s3://b/i.png"], "mask": LINK},
            ["mask", "images[0]", "images[1]"],
            {"instructions": "a", "images": [INLINE, ENCODED], "mask": ENCODED},
        ),
    ],
)
def test_links_become_images_in_their_place_other_texts_stay_and_the_task_too(tasktype, content, fields, request_):
    task = task_of(json.loads(json.dumps(content)), tasktype)
    request = request_of(task, SERVED)
    assert sorted(site.input.field for site in request.sites) == sorted(fields)
    request.write({LINK: PICTURE, "s3://b/i.png": PICTURE})
    assert json.loads(b"".join(request.under("the-id"))) == {
        "job_id": "the-id",
        "task_type": tasktype,
        "request": request_,
    }
    assert task.content == content


def test_a_task_type_that_no_flux_server_has_is_refused_with_those_it_has():
    with pytest.raises(InvalidTask, match="text-to-image, image-to-image, inpainting, edit"):
        request_of(task_of({}, "pipeline"), SERVED)


def work(tasktype="text-to-image", **content):
    return request_of(task_of({"prompt": "a"} | content if tasktype != "edit" else content, tasktype), SERVED).work


REFERENCE = {"instructions": "a", "images": [INLINE]}
SMALL = {"width": 512, "height": 512}
STEPS_30 = SMALL | {"num_inference_steps": 30}


@pytest.mark.parametrize(
    ("tasktype", "content", "change", "same"),
    [
        ("text-to-image", STEPS_30, {"prompt": "b", "seed": 4, "num_inference_steps": 9, "quality": 7}, True),
        ("text-to-image", STEPS_30, {"width": 256}, False),
        ("text-to-image", STEPS_30, {"true_cfg_scale": 2}, False),
        ("text-to-image", {}, {"num_inference_steps": 1}, False),  # what the model chooses may be any number
        ("edit", REFERENCE, {"images": [INLINE, INLINE]}, False),
    ],
)
def test_jobs_that_differ_in_texts_seeds_and_steps_alone_are_of_one_kind(tasktype, content, change, same):
    assert (work(tasktype, **content).kind == work(tasktype, **content | change).kind) is same


@pytest.mark.parametrize(
    ("tasktype", "content", "units", "together", "last_call"),
    [
        ("text-to-image", SMALL, 1, 4, 0.375),
        ("text-to-image", SMALL | {"num_inference_steps": 4, "num_images": 2}, 8, 2, 0.375),
        ("text-to-image", {"width": 512, "height": 1024}, 1, 2, 0.375),
        ("text-to-image", {}, 1, 1, 0),  # of the model's own size
        ("text-to-image", STEPS_30, 30, 4, 0.05),
        ("image-to-image", STEPS_30 | {"image": INLINE, "strength": 0.5}, 30, 4, 0.1),
        ("edit", REFERENCE, 1, 1, 0),
    ],
)
def test_a_job_has_the_steps_of_all_pictures_and_small_ones_run_together_if_they_come_before_the_last_step(
    tasktype, content, units, together, last_call
):
    found = work(tasktype, **content)
    assert (found.units, found.together, found.last_call) == (units, together, last_call)


async def events_of(*chunks):
    async def pieces():
        for chunk in chunks:
            yield chunk

    return [event async for event in events_in(pieces())]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_events_are_read_however_they_are_cut_and_one_without_its_end_is_none(size):
    text = b': hello\n\nevent: state\r\ndata: {"state":\r\ndata:"running"}\r\n\r\nevent: nothing\n\nid: 3\ndata: {}\n\n'
    text += b"event: end\ndata: {}\n"
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert await events_of(*pieces) == [Event("state", {"state": "running"}), Event("message", {})]


def job_and_said(clock=time.monotonic):
    said = []
    return FluxJob("job", "id", None, signals(said), clock), said


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Event("state", {"state": "waiting"})], []),
        ([Event("state", {"state": "running", "batch": 7})] * 2, [("started", 7)]),
        ([Event("state", {"state": "running", "batch": "x"}), Event("freed", {})], [("started", None), "freed"]),
        ([Event("state", {"state": "encoding"}), Event("end", {"state": "succeeded"})], [("started", None), "freed"]),
        ([Event("end", {"state": "cancelled"})], []),
        ([Event("state", None), Event("progress", []), Event("later", {"state": ["x"]})], []),
    ],
)
def test_beginning_and_end_on_the_gpu_are_each_told_once_and_in_order(events, expected):
    job, said = job_and_said()
    for event in events:
        job.heed(event)
    assert said == expected


def test_progress_goes_on_within_a_step_as_fast_as_before_and_no_further_than_its_end():
    now_s = [0.0]
    job, _ = job_and_said(lambda: now_s[0])
    job.heed(Event("state", {"state": "running"}))
    fractions = []
    told = [(1.0, 0), (1.0, "half"), (1.0, 7), (2.0, 0.25), (3.0, 0.25), (9.0, 0.25), (10.0, 0.5), (12.5, 0.5)]
    for now_s[0], progress in told:
        job.heed(Event("progress", {"progress": progress}))
        fractions.append(job.fraction)
    assert fractions == [None, None, None, 0.25, 0.375, 0.5, 0.5, 0.625]
    job.heed(Event("state", {"state": "waiting", "progress": 0.0}))  # its worker was lost
    assert job.fraction is None


def test_steps_are_those_that_the_server_counts_and_none_are_invented():
    job, _ = job_and_said(lambda: 0.0)
    job.heed(Event("state", {"state": "running", "progress": 0.0, "step": 0, "steps": 0}))
    assert job.progress is None
    job.heed(Event("progress", {"progress": 0.25, "step": 2, "steps": 4}))
    assert job.progress == Progress(fraction=0.25, step=2, steps=4, stage="sampling")


async def test_the_preview_that_an_edit_asks_the_server_for_is_shown_once_it_is_there():
    async def give(_request):
        return web.Response(body=PNG)

    job, _ = job_and_said()
    job.heed(Event("state", {"state": "running"}))
    async with client_of(web.get("/jobs/id/outputs/0", give)) as client:
        flux = Flux(client)
        flux._jobs["id"] = job
        job.heed(Event("output", {"number": 1, "kind": "picture"}))
        assert await flux.preview("job") is None
        job.heed(Event("output", {"number": 0, "kind": "preview"}))
        assert await flux.preview("job") == PNG
        assert await flux.preview("other") is None


def failed(code, message="No."):
    return {"state": "failed", "error": {"code": code, "message": message}}


@pytest.mark.parametrize(
    ("row", "error", "is_final"),
    [
        (failed("refused"), Rejected, True),
        (failed("failed"), ExecutionFailed, True),
        (failed("failed", "[Errno 28] No space left on device"), ServerError, False),
        *[(failed(code), ServerError, False) for code in ("out_of_memory", "what is this")],
        ({"state": "failed"}, ExecutionFailed, True),
        ({"state": "cancelled"}, ServerError, False),
        *[({"state": state}, type(None), True) for state in ("succeeded", "running")],
    ],
)
def test_an_ending_is_the_tasks_fault_only_where_it_would_be_the_same_again(row, error, is_final):
    report = report_of(row)
    assert (type(report.error), report.would_end_the_same) == (error, is_final)


def test_a_request_that_is_too_large_is_the_tasks_fault_and_a_refusal_without_a_reason_the_servers():
    assert type(refusal(answer(413, {"detail": "too large"}))) is Rejected
    assert type(refusal(answer(422, []))) is ServerError


@pytest.mark.parametrize(("is_live", "kind"), [(True, ServerLoading), (False, ServerError)])
def test_a_server_without_a_worker_is_loading_only_if_one_will_come_back(is_live, kind):
    with pytest.raises(ServerError) as caught:
        read_health(answer(503, {"live": is_live, "ready": False, "workers": []}))
    assert type(caught.value) is kind


async def test_a_server_tells_how_many_jobs_it_can_have_and_its_events_and_restarts_are_signs_of_life():
    ready, gone = {"state": "ready", "restarts": 0}, {"state": "down", "restarts": 5, "given_up": True}
    health = {"live": True, "ready": True, "workers": [gone, ready], "model": {"source": "m", "max_batch": 3}}

    async def get_health(_request):
        return web.json_response(health)

    async with client_of(web.get("/health", get_health)) as client:
        flux = Flux(client)
        assert flux.capacity == Capacity(ahead=True)
        await flux.wait_until_ready()
        assert flux.capacity == Capacity(devices=1, batch=3, ahead=True)
        job, _ = job_and_said()
        flux._jobs["id"] = job
        first = await flux.liveness_token()
        assert await flux.liveness_token() == first
        job.heed(Event("progress", {}))
        second = await flux.liveness_token()
        health["workers"] = [gone, ready | {"restarts": 1}]
        assert first != second != await flux.liveness_token()


async def test_a_success_without_a_picture_is_none_and_not_all_of_a_thousand_warnings_reach_the_manifest():
    job, _ = job_and_said()
    report = {"state": "succeeded", "outputs": [{"number": 7, "kind": "picture", "seed": 7}], "warnings": ["w" * 1000]}
    async with client_of() as client:
        result = await Flux(client)._result(job, report_of(report | {"warnings": ["w" * 1000] * 1000}))
        assert len(json.dumps(result.answer)) < 50_000
        with pytest.raises(ServerError, match="lists no picture"):
            await Flux(client)._result(job, report_of({"state": "succeeded"}))
