import base64
import json
import time

import pytest

from queue_agent.errors import (
    ExecutionFailed,
    InvalidTask,
    Rejected,
    ServerAway,
    ServerError,
    ServerLoading,
)
from queue_agent.media import Media
from queue_agent.ports import RunSignals
from runtimes._http import Answer
from runtimes.flux.driver import events as events_module
from runtimes.flux.driver.answer import ServedModel, read_health, read_report, refusal, report_of
from runtimes.flux.driver.events import ServerEvent as Event
from runtimes.flux.driver.events import StepWatch, events_in
from runtimes.flux.driver.request import draft_of

INLINE = base64.b64encode(b"inline").decode()
PICTURE = Media(b"picture", "png", "image/png")
ENCODED = base64.b64encode(b"picture").decode()
SERVED = ServedModel(source="black-forest-labs/FLUX.1-schnell", steps=4, max_batch=4)
EDIT = {"instructions": "make it red, see https://example.com/x.png", "image": INLINE}


def sent(draft, fetched=()):
    return json.loads(b"".join(draft.finish(dict(fetched)).under("the-id")))


def test_a_request_is_sent_as_it_came_under_the_jobs_id_and_type(make_task):
    content = {"prompt": 'a "cat" s3://bucket/key', "negative_prompt": "https://example.com/a.png", "seed": 3}
    body = sent(draft_of(make_task(content), SERVED))
    assert body == {"job_id": "the-id", "task_type": "text-to-image", "request": content}


def test_links_become_images_where_the_server_takes_them_and_texts_that_look_like_links_stay(make_task):
    content = {"prompt": "https://example.com/p.png", "image_url": "s3://b/i.png", "mask_url": "https://m/m.png"}
    draft = draft_of(make_task(content, "inpainting"), SERVED)
    assert [(site.input.field, site.input.text) for site in draft.sites] == [
        ("image_url", "s3://b/i.png"),
        ("mask_url", "https://m/m.png"),
    ]
    assert sent(draft, {"s3://b/i.png": PICTURE, "https://m/m.png": PICTURE})["request"] == {
        "prompt": "https://example.com/p.png",
        "image": ENCODED,
        "mask": ENCODED,
    }


@pytest.mark.parametrize("url", ["http://example.com/i.png", "https://example.com/i.png", "s3://b/i.png"])
def test_a_link_where_base64_may_stand_is_replaced_in_its_place_beside_an_image_that_stays(make_task, url):
    for linked, inline in (("image", "mask"), ("mask", "image")):
        draft = draft_of(make_task({"prompt": "a", linked: url, inline: INLINE}, "inpainting"), SERVED)
        assert {site.input.field for site in draft.sites} == {linked, inline}
        assert sent(draft, {url: PICTURE})["request"] == {"prompt": "a", linked: ENCODED, inline: INLINE}


def test_a_text_that_is_left_to_the_server_is_sent_as_it_is(make_task):
    assert sent(draft_of(make_task(EDIT | {"image": "no image"}, "edit"), SERVED))["request"]["image"] == "no image"


def test_references_of_an_edit_keep_their_order_whether_they_are_links_or_not(make_task):
    content = {"instructions": "join them", "images": [INLINE, "https://example.com/a.png", INLINE]}
    draft = draft_of(make_task(content, "edit"), SERVED)
    assert [site.input.field for site in draft.sites] == ["images[0]", "images[1]", "images[2]"]
    assert sent(draft, {"https://example.com/a.png": PICTURE})["request"]["images"] == [INLINE, ENCODED, INLINE]


def test_a_tasks_own_content_is_never_changed(make_task):
    content = {"instructions": "a", "images": ["s3://b/k"]}
    task = make_task(content, "edit")
    draft_of(task, SERVED).finish({"s3://b/k": PICTURE})
    assert task.content == {"instructions": "a", "images": ["s3://b/k"]}


def test_an_invalid_content_is_told_with_every_fault(make_task):
    with pytest.raises(InvalidTask) as caught:
        draft_of(make_task({"prompt": "", "num_images": 99, "cfg": 3}), SERVED)
    assert set(str(caught.value).split("; ")) == {
        "prompt must not be empty",
        "num_images must be at most 16, not 99",
        "cfg is not a known key",
    }


def test_faults_without_end_make_no_notice_without_end(make_task):
    with pytest.raises(InvalidTask) as caught:
        draft_of(make_task({f"key {number}": number for number in range(9000)}), SERVED)
    assert len(str(caught.value)) <= 500


def test_a_task_type_that_no_flux_server_has_is_refused_with_those_it_has(make_task):
    with pytest.raises(InvalidTask, match="text-to-image, image-to-image, inpainting, edit"):
        draft_of(make_task({}, "pipeline"), SERVED)


def work(make_task, tasktype="text-to-image", **content):
    return draft_of(make_task({"prompt": "a"} | content, tasktype), SERVED).work


def test_units_are_the_steps_of_all_pictures(make_task):
    assert work(make_task, num_inference_steps=4, num_images=3).units == 12
    assert work(make_task, num_images=3).units == 3


def test_jobs_that_differ_in_texts_seeds_and_steps_alone_are_of_one_kind(make_task):
    plain = work(make_task, num_inference_steps=4).kind
    assert work(make_task, prompt="b", seed=4, num_inference_steps=9, output_format="webp").kind == plain
    for other in ({"width": 256}, {"true_cfg_scale": 2}):
        assert work(make_task, num_inference_steps=4, **other).kind != plain


def test_steps_that_are_left_to_the_model_are_not_taken_for_one_step(make_task):
    assert work(make_task).kind != work(make_task, num_inference_steps=1).kind


@pytest.mark.parametrize(("pictures", "together"), [(1, 4), (2, 2), (3, 1), (8, 1)])
def test_jobs_run_together_as_far_as_their_pictures_fit_into_a_batch(make_task, pictures, together):
    assert work(make_task, num_images=pictures, width=512, height=512).together == together


@pytest.mark.parametrize(
    ("width", "height", "together"), [(256, 256, 4), (512, 1024, 2), (1024, 1024, 1), (2048, 512, 1)]
)
def test_larger_pictures_fill_a_batch_sooner_for_each_keeps_the_gpu_busy_longer(make_task, width, height, together):
    assert work(make_task, width=width, height=height).together == together


def test_a_picture_of_the_models_own_size_counts_with_it(make_task):
    assert (SERVED.size, work(make_task).together) == (1024, 1)


def test_an_edit_runs_alone(make_task):
    alone = draft_of(make_task(EDIT, "edit"), SERVED).work
    assert (alone.together, alone.last_call) == (1, 0)


@pytest.mark.parametrize(
    ("content", "last_call"),
    [({"num_inference_steps": 30}, 0.05), ({}, 0.375), ({"num_inference_steps": 1}, 1), ({"num_images": 4}, 0)],
)
def test_a_job_that_may_run_with_others_is_wanted_before_the_last_step(make_task, content, last_call):
    assert work(make_task, width=512, height=512, **content).last_call == last_call


def test_a_variation_has_as_many_last_steps_and_fewer_others(make_task):
    content = {"image": INLINE, "num_inference_steps": 30, "strength": 0.5, "width": 512, "height": 512}
    assert work(make_task, "image-to-image", **content).last_call == 0.1


@pytest.mark.parametrize("change", [{"images": [INLINE, INLINE]}, {"preview": True}, {"size": 512}])
def test_an_edit_of_more_references_of_another_size_or_with_a_preview_is_another_kind(make_task, change):
    edit = {"instructions": "a", "images": [INLINE]}
    assert (
        draft_of(make_task(edit | change, "edit"), SERVED).work.kind
        != draft_of(make_task(edit, "edit"), SERVED).work.kind
    )


def test_a_variation_that_redraws_less_is_another_kind(make_task):
    given = {"image": INLINE, "num_inference_steps": 4}
    half, most = (work(make_task, "image-to-image", strength=strength, **given) for strength in (0.5, 0.9))
    assert half.kind != most.kind


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


def watch_and_said(clock=time.monotonic):
    said = []
    signals = RunSignals(lambda batch=None: said.append(("started", batch)), lambda: said.append("freed"))
    return StepWatch(signals, clock), said


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
    watch, said = watch_and_said()
    for event in events:
        watch.heed(event)
    assert said == expected


def test_progress_is_known_from_the_first_step_on():
    watch, _ = watch_and_said(lambda: 1.0)
    watch.heed(Event("state", {"state": "running"}))
    for told in (0, None, "half", 7):
        watch.heed(Event("progress", {"progress": told}))
    assert watch.fraction is None
    watch.heed(Event("progress", {"progress": 0.5}))
    assert (watch.fraction, watch.heard) == (0.5, 6)


def test_progress_goes_on_within_a_step_as_fast_as_before_and_no_further_than_its_end():
    now_s = [0.0]
    watch, _ = watch_and_said(lambda: now_s[0])
    watch.heed(Event("state", {"state": "running"}))
    fractions = []
    for now_s[0], told in ((2.0, 0.25), (3.0, 0.25), (9.0, 0.25), (10.0, 0.5), (12.5, 0.5)):
        watch.heed(Event("progress", {"progress": told}))
        fractions.append(watch.fraction)
    assert fractions == [0.25, 0.375, 0.5, 0.5, 0.625]


def test_progress_is_unknown_again_after_a_worker_was_lost():
    watch, _ = watch_and_said()
    watch.heed(Event("state", {"state": "running"}))
    watch.heed(Event("progress", {"progress": 0.5}))
    watch.heed(Event("state", {"state": "waiting", "progress": 0.0}))
    assert watch.fraction is None


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


def answer(status, body):
    return Answer(status, json.dumps(body).encode())


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
