"""How a worker draws a batch; the pipeline is a fake."""

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest
from PIL import Image

from runtimes.flux.families import EDIT, FAMILIES, TEXT_TO_IMAGE
from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server.errors import PipelineMemoryError, PipelineRefusedError, PipelineStoppedError
from runtimes.flux.server.images.finishing import Finishing
from runtimes.flux.server.ports import DeviceStatus, GenerationRequest
from runtimes.flux.server.worker.batch_run import BatchRun, LargestPicture, parts_of
from runtimes.flux.server.worker.protocol import (
    BatchProgress,
    BatchStarted,
    DeviceFreed,
    JobFailed,
    JobOutput,
    RunBatch,
)

DEVICE = DeviceStatus(name="cuda:0", memory_bytes=24 * 10**9, peak_bytes=0, host_peak_bytes=0, max_pixels=2**23)


class AtOnce(Executor):
    """Runs calls in the caller's thread."""

    def submit(self, call, /, *args, **kwargs):
        future = Future()
        future.set_result(call(*args, **kwargs))
        return future


class Sent(list):
    """The server's end of the channel."""

    send = list.append

    def of(self, kind):
        return [message for message in self if isinstance(message, kind)]

    @property
    def outputs(self):
        return [(message.job_id, message.number) for message in self.of(JobOutput)]

    @property
    def failures(self):
        return [(message.job_id, message.code) for message in self.of(JobFailed)]


class FakePipeline:
    """Draws one grey picture per seed; calls ``trouble`` before encoding and before drawing."""

    def __init__(self, trouble=lambda stage, prompts: None):
        self.trouble = trouble
        self.drawn = []

    def encode(self, requests):
        self.trouble("encode", [request.prompt for request in requests])
        return [request.prompt for request in requests]

    def warnings(self, request):
        return ["prompt is cut"] if request.prompt == "long" else []

    def draw(self, requests, encoded, watch):
        assert encoded == [request.prompt for request in requests]
        self.trouble("draw", encoded)
        self.drawn.append(encoded)
        watch.stepped(1, 2)
        if requests[0].preview:
            watch.previewed(Image.new("RGB", (8, 8)))
        if not watch.wanted():
            raise PipelineStoppedError
        watch.stepped(2, 2)
        return [[Image.new("RGB", (8, 8)) for _ in request.seeds] for request in requests]

    def device(self):
        return DEVICE


def job(name, pictures=1, side=8, **values):
    request = {"job_id": name, "task_type": TEXT_TO_IMAGE, "prompt": name, "seeds": tuple(range(100, 100 + pictures))}
    return GenerationRequest(**request | {"width": side, "height": side, "steps": 2, "guidance": 0} | values)


def warm():
    """What a warm worker has drawn: 512 x 512 pixels."""
    return LargestPicture(ModelOptions(profile="flux-schnell").card)


def drawn(pipeline, *requests, max_batch=4, dropped=(), largest=None, encoder=None, finishers=None):
    sent = Sent()
    tools = {"encoder": encoder or AtOnce(), "finishers": finishers or AtOnce()}
    tools |= {"max_batch": max_batch, "largest": largest or warm()}
    run = BatchRun(RunBatch(1, requests), pipeline, sent, **tools)
    for name in dropped:
        run.drop(name)
    run.draw()
    return sent


def failing(exception, only_stage=None, only_prompt=""):
    def trouble(stage, prompts):
        if only_stage in {None, stage} and any(only_prompt in prompt for prompt in prompts):
            raise exception

    return FakePipeline(trouble)


def test_a_batch_reports_its_start_its_progress_and_its_pictures():
    kinds = [type(message) for message in drawn(FakePipeline(), job("a"), job("b"))]
    assert kinds == [BatchStarted, BatchProgress, BatchProgress, DeviceFreed, JobOutput, JobOutput]


def test_the_picture_does_not_overtake_its_preview(monkeypatch):
    """The job ends with its last picture."""
    is_over, calls = threading.Event(), []

    def apply(*_):
        calls.append(threading.current_thread())
        if len(calls) == 1:
            is_over.wait(60)
        else:
            threading.Timer(0.1, is_over.set).start()
        return b""

    monkeypatch.setattr(Finishing, "apply", apply)
    with ThreadPoolExecutor(2) as finishers:
        sent = drawn(FakePipeline(), job("a", preview=True), finishers=finishers)
    assert sent.outputs == [("a", 0), ("a", 1)]


def test_ignored_parts_of_a_request_are_reported_when_the_batch_starts():
    refusing = failing(PipelineRefusedError("not this"), "encode", "bad")
    sent = drawn(refusing, job("bad"), job("a"), job("long", 3), max_batch=1)
    assert sent.of(BatchStarted)[0].warnings == {"long": ("prompt is cut",)}


def test_progress_counts_all_parts_of_a_batch():
    sent = drawn(FakePipeline(), job("a", 3), max_batch=1)
    reported = sent.of(BatchProgress)
    assert [round(message.share, 2) for message in reported] == [0.17, 0.33, 0.5, 0.67, 0.83, 1]
    assert [(message.step, message.steps) for message in reported] == [(1, 2), (2, 2)] * 3


@pytest.mark.parametrize("stage", ["encode", "draw"])
def test_a_refused_request_does_not_fail_its_neighbours(stage):
    sent = drawn(failing(PipelineRefusedError("not this"), stage, "bad"), job("a"), job("bad"), job("c"))
    assert sent.outputs == [("a", 1), ("c", 1)]
    assert sent.of(JobFailed) == [JobFailed(1, "bad", "refused", "not this")]


def test_a_request_that_fails_alone_is_not_tried_again():
    tries = []

    def trouble(stage, prompts):
        tries.append(stage)
        if stage == "draw":
            raise ValueError("no")

    sent = drawn(FakePipeline(trouble), job("a", side=1024))
    assert tries == ["encode", "draw"]
    assert sent.of(JobFailed) == [JobFailed(1, "a", "failed", "ValueError: no")]


def test_a_picture_that_ran_out_of_memory_is_tried_again_when_nothing_else_is_encoded():
    encoded, tried = threading.Event(), threading.Event()
    tries = []

    def trouble(stage, prompts):
        if stage == "draw":
            tries.append(encoded.is_set())
            if len(tries) == 1:
                encoder.submit(lambda: (tried.wait(60), encoded.set()))
                threading.Timer(0.1, tried.set).start()
                raise PipelineMemoryError("full")

    with ThreadPoolExecutor(1) as encoder:
        sent = drawn(FakePipeline(trouble), job("a"), encoder=encoder)
    assert tries == [False, True]
    assert (sent.outputs, sent.failures) == ([("a", 1)], [])


def test_a_picture_larger_than_any_before_is_refused_if_it_does_not_fit_alone():
    (failed,) = drawn(failing(PipelineMemoryError("full"), "draw"), job("a", side=1024)).of(JobFailed)
    assert failed.code == "refused"
    assert "1024 x 1024 pixels did not fit into the GPU's 24 GB" in failed.message
    assert "so far is a picture of 512 x 512 pixels" in failed.message


def test_a_picture_no_larger_than_one_before_is_not_blamed_for_too_little_memory():
    largest = warm()
    drawn(FakePipeline(), job("a", side=1024), largest=largest)
    sent = drawn(failing(PipelineMemoryError("full")), job("a", 3, side=1024), largest=largest)
    assert sent.failures == [("a", "out_of_memory")], "once for all of its pictures"


@pytest.mark.parametrize(("name", "images"), [("flux", 0), ("flux-kontext", 1)])
def test_the_warm_up_counts_as_drawn_and_one_more_image_is_larger(name, images):
    card = card_of(ModelOptions(source="model"), FAMILIES[name])
    given, small = (Image.new("RGB", (card.row.size,) * 2),) * images, Image.new("RGB", (8, 8))
    warmed, more = (job("a", side=card.row.size, task_type=EDIT, images=each) for each in (given, (*given, small)))
    assert [LargestPicture(card).is_smaller_than(request) for request in (warmed, more)] == [False, True]


def test_an_error_that_breaks_the_process_ends_it():
    with pytest.raises(RuntimeError, match="CUDA error"):
        drawn(failing(RuntimeError("CUDA error: an illegal memory access")), job("a"))


def test_jobs_dropped_before_their_turn_are_not_drawn():
    pipeline = FakePipeline()
    sent = drawn(pipeline, job("a"), job("b"), dropped=("a",))
    assert (pipeline.drawn, sent.outputs) == ([["b"]], [("b", 1)])
    sent = drawn(FakePipeline(), job("a"), dropped=("a",))
    assert [type(message) for message in sent] == [BatchStarted, DeviceFreed]


def test_all_parts_but_the_last_are_full_and_only_the_first_picture_has_a_preview():
    parts = parts_of([job("a", 3, preview=True), job("b", 2, preview=True)], 2)
    assert [[(one.job_id, one.seeds, one.preview) for one in part.requests] for part in parts] == [
        [("a", (100, 101), True)],
        [("a", (102,), False), ("b", (100,), True)],
        [("b", (101,), False)],
    ]
    assert [item.number for part in parts for item in part.items] == [1, 2, 3, 1, 2]
