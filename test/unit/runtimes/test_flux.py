import base64
import json
import time

import pytest
from driverkit import answer, signals, task_of

from queue_agent.errors import (
    ExecutionFailed,
    InvalidTask,
    Rejected,
    ServerAway,
    ServerError,
    ServerLoading,
)
from queue_agent.media import Media
from runtimes.flux.driver import events as events_module
from runtimes.flux.driver.answer import ServedModel, read_health, read_report, refusal, report_of
from runtimes.flux.driver.events import FluxJob, events_in
from runtimes.flux.driver.events import ServerEvent as Event
from runtimes.flux.driver.request import draft_of

INLINE = base64.b64encode(b"inline").decode()
PICTURE = Media(b"picture", "png", "image/png")
ENCODED = base64.b64encode(b"picture").decode()
SERVED = ServedModel(source="black-forest-labs/FLUX.1-schnell", steps=4, max_batch=4)
EDIT = {"instructions": "make it red, see https://example.com/x.png", "image": INLINE}


def sent(draft, fetched=()):
    return json.loads(b"".join(draft.finish(dict(fetched)).under("the-id")))


def test_a_request_is_sent_as_it_came_under_the_jobs_id_and_type():
    content = {"prompt": 'a "cat" s3://bucket/key', "negative_prompt": "https://example.com/a.png", "seed": 3}
    body = sent(draft_of(task_of(content), SERVED))
    assert body == {"job_id": "the-id", "task_type": "text-to-image", "request": content}


LINK = "https://example.com/i.png"


@pytest.mark.parametrize(
    ("tasktype", "content", "fields", "request_"),
    [
        (
            "inpainting",
            {"prompt": LINK, "image_url": "s3://b/i.png", "mask_url": LINK},
            ["image_url", "mask_url"],
            {"prompt": LINK, "image": ENCODED, "mask": ENCODED},
        ),
        (
            "inpainting",
            {"prompt": "a", "image": LINK, "mask": INLINE},
            ["image", "mask"],
            {"prompt": "a", "image": ENCODED, "mask": INLINE},
        ),
        (
            "edit",
            {"instructions": "a", "images": [INLINE, "s3://b/i.png", INLINE]},
            ["images[0]", "images[1]", "images[2]"],
            {"instructions": "a", "images": [INLINE, ENCODED, INLINE]},
        ),
        ("edit", {"instructions": "a", "image": "no image"}, ["image"], {"instructions": "a", "image": "no image"}),
    ],
)
def test_links_become_images_in_their_place_and_other_texts_stay(tasktype, content, fields, request_):
    draft = draft_of(task_of(content, tasktype), SERVED)
    assert [site.input.field for site in draft.sites] == fields
    assert sent(draft, {LINK: PICTURE, "s3://b/i.png": PICTURE})["request"] == request_


def test_a_tasks_own_content_is_never_changed():
    content = {"instructions": "a", "images": ["s3://b/k"]}
    task = task_of(content, "edit")
    draft_of(task, SERVED).finish({"s3://b/k": PICTURE})
    assert task.content == {"instructions": "a", "images": ["s3://b/k"]}


def test_an_invalid_content_is_told_with_every_fault():
    with pytest.raises(InvalidTask) as caught:
        draft_of(task_of({"prompt": "", "num_images": 99, "cfg": 3}), SERVED)
    assert set(str(caught.value).split("; ")) == {
        "prompt must not be empty",
        "num_images must be at most 16, not 99",
        "cfg is not a known key",
    }


def test_faults_without_end_make_no_notice_without_end():
    with pytest.raises(InvalidTask) as caught:
        draft_of(task_of({f"key {number}": number for number in range(9000)}), SERVED)
    assert len(str(caught.value)) <= 500


def test_a_task_type_that_no_flux_server_has_is_refused_with_those_it_has():
    with pytest.raises(InvalidTask, match="text-to-image, image-to-image, inpainting, edit"):
        draft_of(task_of({}, "pipeline"), SERVED)


def work(tasktype="text-to-image", **content):
    return draft_of(task_of({"prompt": "a"} | content, tasktype), SERVED).work


def test_units_are_the_steps_of_all_pictures():
    assert work(num_inference_steps=4, num_images=3).units == 12
    assert work(num_images=3).units == 3


VARIATION = {"image": INLINE, "num_inference_steps": 4, "strength": 0.5}
REFERENCE = {"instructions": "a", "images": [INLINE]}
FOUR = {"num_inference_steps": 4}


@pytest.mark.parametrize(
    ("tasktype", "content", "change", "same"),
    [
        ("text-to-image", FOUR, {"prompt": "b", "seed": 4, "num_inference_steps": 9, "output_format": "webp"}, True),
        ("text-to-image", FOUR, {"width": 256}, False),
        ("text-to-image", FOUR, {"true_cfg_scale": 2}, False),
        ("text-to-image", {}, {"num_inference_steps": 1}, False),  # what the model chooses may be any number
        ("image-to-image", VARIATION, {"strength": 0.9}, False),
        *[
            ("edit", REFERENCE, change, False)
            for change in ({"preview": True}, {"size": 512}, {"images": [INLINE, INLINE]})
        ],
    ],
)
def test_jobs_that_differ_in_texts_seeds_and_steps_alone_are_of_one_kind(tasktype, content, change, same):
    content = content if tasktype == "edit" else {"prompt": "a"} | content
    first, second = (draft_of(task_of(one, tasktype), SERVED).work.kind for one in (content, content | change))
    assert (first == second) is same


@pytest.mark.parametrize(
    ("content", "together"),
    [
        *[({"num_images": pictures, "width": 512, "height": 512}, jobs) for pictures, jobs in [(1, 4), (2, 2), (8, 1)]],
        *[
            ({"width": wide, "height": high}, jobs)
            for wide, high, jobs in [(256, 256, 4), (512, 1024, 2), (2048, 512, 1)]
        ],
        ({}, 1),  # of the model's own size
    ],
)
def test_jobs_run_together_as_far_as_their_pictures_fit_into_a_batch(content, together):
    assert work(**content).together == together


@pytest.mark.parametrize(
    ("tasktype", "content", "last_call"),
    [
        ("text-to-image", {"num_inference_steps": 30}, 0.05),
        ("text-to-image", {}, 0.375),
        ("text-to-image", {"num_inference_steps": 1}, 1),
        ("text-to-image", {"num_images": 4}, 0),
        ("image-to-image", VARIATION | {"num_inference_steps": 30}, 0.1),
    ],
)
def test_a_job_that_may_run_with_others_is_wanted_before_the_last_step(tasktype, content, last_call):
    assert work(tasktype, width=512, height=512, **content).last_call == last_call


def test_an_edit_runs_alone():
    alone = draft_of(task_of(EDIT, "edit"), SERVED).work
    assert (alone.together, alone.last_call) == (1, 0)


async def chunks_of(*chunks):
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_events_are_read_however_they_are_cut(size):
    text = b': hello\n\nevent: state\r\ndata: {"state":\r\ndata:"running"}\r\n\r\nevent: nothing\n\nid: 3\ndata: {}\n\n'
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert [event async for event in events_in(chunks_of(*pieces))] == [
        Event("state", {"state": "running"}),
        Event("message", {}),
    ]


async def test_an_event_that_was_cut_off_is_none():
    assert [event async for event in events_in(chunks_of(b"event: end\ndata: {}\n"))] == []


async def test_an_event_of_nonsense_is_the_servers_fault():
    with pytest.raises(ServerError):
        [event async for event in events_in(chunks_of(b"data: {\n\n"))]


async def test_an_event_without_an_end_is_the_servers_fault(monkeypatch):
    monkeypatch.setattr(events_module, "MAX_EVENT_BYTES", 1000)
    for endless in ([b"x" * 100] * 11, [b"data: " + b"x" * 100 + b"\n"] * 11):
        with pytest.raises(ServerError, match="larger than 1000 bytes"):
            [event async for event in events_in(chunks_of(*endless))]


ALONE = ("started", None)


def job_and_said(clock=time.monotonic):
    said = []
    return FluxJob("job", "id", None, signals(said), clock), said


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Event("state", {"state": "waiting"})], []),
        ([Event("state", {"state": "running", "batch": 7})] * 2, [("started", 7)]),
        ([Event("state", {"state": "running", "batch": "x"}), Event("freed", {})], [ALONE, "freed"]),
        ([Event("freed", {}), Event("freed", {})], [ALONE, "freed"]),
        ([Event("state", {"state": "encoding"})], [ALONE, "freed"]),
        ([Event("end", {"state": "succeeded"})], [ALONE, "freed"]),
        ([Event("end", {"state": "cancelled"})], []),
        ([Event("state", None), Event("progress", []), Event("later", {"state": ["x"]})], []),
    ],
)
def test_beginning_and_end_on_the_gpu_are_each_told_once_and_in_order(events, expected):
    job, said = job_and_said()
    for event in events:
        job.heed(event)
    assert said == expected


def test_progress_is_known_from_the_first_step_on():
    job, _ = job_and_said(lambda: 1.0)
    job.heed(Event("state", {"state": "running"}))
    for told in (0, None, "half", 7):
        job.heed(Event("progress", {"progress": told}))
    assert job.fraction is None
    job.heed(Event("progress", {"progress": 0.5}))
    assert (job.fraction, job.heard) == (0.5, 6)


def test_progress_goes_on_within_a_step_as_fast_as_before_and_no_further_than_its_end():
    now_s = [0.0]
    job, _ = job_and_said(lambda: now_s[0])
    job.heed(Event("state", {"state": "running"}))
    fractions = []
    for now_s[0], told in ((2.0, 0.25), (3.0, 0.25), (9.0, 0.25), (10.0, 0.5), (12.5, 0.5)):
        job.heed(Event("progress", {"progress": told}))
        fractions.append(job.fraction)
    assert fractions == [0.25, 0.375, 0.5, 0.5, 0.625]


def test_progress_is_unknown_again_after_a_worker_was_lost():
    job, _ = job_and_said()
    job.heed(Event("state", {"state": "running"}))
    job.heed(Event("progress", {"progress": 0.5}))
    job.heed(Event("state", {"state": "waiting", "progress": 0.0}))
    assert job.fraction is None


def failed(code, message="No."):
    return report_of({"state": "failed", "error": {"code": code, "message": message}})


@pytest.mark.parametrize(
    ("report", "fault", "is_final"),
    [
        (failed("refused"), Rejected, True),
        (failed("failed"), ExecutionFailed, True),
        (failed("failed", "[Errno 28] No space left on device"), ServerError, False),
        (failed("out_of_memory"), ServerError, False),
        (failed("worker_lost"), ServerError, False),
        (failed("what is this"), ServerError, False),
        (report_of({"state": "failed"}), ExecutionFailed, True),
        (report_of({"state": "cancelled"}), ServerError, False),
        (report_of({"state": "succeeded"}), type(None), True),
        (report_of({"state": "running"}), type(None), True),
    ],
)
def test_an_ending_is_the_tasks_fault_only_where_it_would_be_the_same_again(report, fault, is_final):
    assert (type(report.error), report.would_end_the_same) == (fault, is_final)


def test_an_early_look_comes_before_the_pictures_whatever_its_number():
    outputs = [{"number": 1, "kind": "picture"}, {"number": 2, "kind": "picture"}, {"number": 3, "kind": "preview"}]
    assert [picture.number for picture in report_of({"state": "succeeded", "outputs": outputs}).details.pictures] == [
        3,
        1,
        2,
    ]


def test_a_refused_request_is_told_with_every_fault_in_the_servers_words():
    detail = [{"field": "request.width", "problem": "must be a multiple of 16"}, {"field": "", "problem": "is odd"}]
    fault = refusal(answer(422, {"detail": detail}))
    assert (type(fault), str(fault)) == (Rejected, "width must be a multiple of 16; is odd")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (413, {"detail": "too large"}, Rejected),
        (422, {"detail": ["odd"]}, Rejected),
        (503, {"detail": "loading"}, ServerAway),
        (500, {"detail": "broken"}, ServerError),
        (404, {"detail": "Not Found"}, ServerError),
        (422, {}, ServerError),
        (422, [], ServerError),
    ],
)
def test_only_a_refusal_with_a_reason_is_the_tasks_fault(status, body, kind):
    assert type(refusal(answer(status, body))) is kind


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, {"state": "running"}), (200, []), (200, {"state": "dancing"}), (200, {})],
)
def test_a_word_on_a_job_that_makes_no_sense_is_the_servers_fault(status, body):
    with pytest.raises(ServerError):
        read_report(answer(status, body))


def test_a_server_that_is_not_ready_lives_and_one_without_workers_does_not():
    worker = {"device": "cuda:0", "state": "starting", "restarts": 1}
    with pytest.raises(ServerLoading):
        read_health(answer(503, {"live": True, "ready": False, "workers": [worker]}))
    with pytest.raises(ServerError, match="no worker left"):
        read_health(answer(503, {"live": False, "ready": False, "workers": []}))
    with pytest.raises(ServerError, match="unexpected response"):
        read_health(answer(200, {"live": True, "ready": True, "workers": ["x"]}))
