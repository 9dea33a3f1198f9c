"""How a worker carries out a batch; the pipeline is played."""

import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest
from PIL import Image

from runtimes.flux.options import ModelOptions
from runtimes.flux.requests import Finish
from runtimes.flux.server.execution import Execution
from runtimes.flux.server.finishing import Finishing
from runtimes.flux.server.messages import Began, Freed, OrderFailed, Output, Piece, Run, Stepped, Warned
from runtimes.flux.server.ports import Device, Order, OutOfMemoryError, RefusedError, StoppedError
from runtimes.flux.server.reach import Reach

FINISHING = Finishing(Finish(), "png", 95)
DEVICE = Device(name="cuda:0", memory_bytes=24 * 10**9, peak_bytes=0, host_peak_bytes=0)


class AtOnce(Executor):
    """Does what it is given in the caller's thread."""

    def submit(self, call, /, *args, **kwargs):
        future = Future()
        future.set_result(call(*args, **kwargs))
        return future


class Sent(list):
    """The server's end of the link."""

    send = list.append

    def of(self, kind):
        return [message for message in self if isinstance(message, kind)]


class PlayedPipeline:
    """Draws one grey picture for each seed; ``trouble`` is asked before encoding and before drawing."""

    def __init__(self, trouble=lambda stage, prompts: None) -> None:
        self.trouble = trouble
        self.drawn = []

    def encode(self, orders):
        self.trouble("encode", [order.prompt for order in orders])
        return [order.prompt for order in orders]

    def warnings(self, order):
        return ["prompt is cut"] if order.prompt == "long" else []

    def draw(self, orders, encoded, watch):
        assert encoded == [order.prompt for order in orders]
        self.trouble("draw", encoded)
        self.drawn.append(encoded)
        watch.stepped(1, 2)
        if not watch.wanted():
            raise StoppedError
        watch.stepped(2, 2)
        return [[Image.new("RGB", (8, 8)) for _ in order.seeds] for order in orders]

    def device(self):
        return DEVICE


def order(job, pictures=1, side=8):
    return Order(
        job=job,
        task_type="text-to-image",
        prompt=job,
        seeds=tuple(range(pictures)),
        width=side,
        height=side,
        steps=2,
        guidance=0,
    )


def reach():
    """Of a worker that is warm: it has drawn 512 x 512."""
    return Reach(ModelOptions(profile="flux-schnell").card)


def carried_out(pipeline, *orders, most=4, dropped=(), reached=None, encoder=None):
    sent = Sent()
    run = Run(1, tuple(Piece(one, FINISHING) for one in orders))
    execution = Execution(run, pipeline, most, sent, AtOnce(), reach=reached or reach())
    execution.encode(encoder or AtOnce())
    for job in dropped:
        execution.drop(job)
    execution.draw()
    return sent


def troubled(exception, only_stage=None, only_prompt=""):
    def trouble(stage, prompts):
        if only_stage in {None, stage} and any(only_prompt in prompt for prompt in prompts):
            raise exception

    return trouble


def outputs(sent):
    return [(message.job, message.number) for message in sent.of(Output)]


def test_a_batch_is_told_from_its_beginning_to_its_pictures():
    sent = carried_out(PlayedPipeline(), order("a"), order("b"))
    kinds = [type(message) for message in sent]
    assert [kinds[0], *kinds[1:3]] == [Began, Stepped, Stepped]
    assert kinds[-3:] == [Freed, Output, Output]


def test_what_is_not_read_of_an_order_is_told_once_before_it_begins():
    refused = troubled(RefusedError("not this"), "encode", "bad")
    sent = carried_out(PlayedPipeline(refused), order("bad"), order("a"), order("long", 3), most=1)
    assert sent.of(Warned) == [Warned(1, "long", ("prompt is cut",))]
    assert [type(message) for message in sent].index(Warned) < [type(message) for message in sent].index(Began)


def test_progress_counts_all_parts_of_a_batch():
    sent = carried_out(PlayedPipeline(), order("a", 3), most=1)
    assert [round(message.share, 2) for message in sent.of(Stepped)] == [0.17, 0.33, 0.5, 0.67, 0.83, 1]


@pytest.mark.parametrize("stage", ["encode", "draw"])
def test_a_refused_order_does_not_fail_its_neighbours(stage):
    trouble = troubled(RefusedError("not this"), stage, "bad")
    sent = carried_out(PlayedPipeline(trouble), order("a"), order("bad"), order("c"))
    assert outputs(sent) == [("a", 1), ("c", 1)]
    assert [(failed.job, failed.code, failed.message) for failed in sent.of(OrderFailed)] == [
        ("bad", "refused", "not this")
    ]


def test_an_order_that_fails_alone_is_not_tried_again():
    tries = []

    def trouble(stage, prompts):
        tries.append(stage)
        if stage == "draw":
            raise ValueError("no")

    sent = carried_out(PlayedPipeline(trouble), order("a", side=1024))
    assert tries == ["encode", "draw"]
    assert [(failed.code, failed.message) for failed in sent.of(OrderFailed)] == [("failed", "ValueError: no")]


def test_memory_that_lacked_beside_another_batch_may_suffice_alone():
    left = [OutOfMemoryError("full")]

    def trouble(stage, prompts):
        if stage == "draw" and left:
            raise left.pop()

    sent = carried_out(PlayedPipeline(trouble), order("a"))
    assert outputs(sent) == [("a", 1)]
    assert not sent.of(OrderFailed)


def test_a_picture_larger_than_any_before_is_refused_when_memory_lacks_for_it_alone():
    tries = []

    def trouble(stage, prompts):
        if stage == "draw":
            tries.append(prompts)
            raise OutOfMemoryError("full")

    sent = carried_out(PlayedPipeline(trouble), order("a", side=1024), reached=reach())
    (failed,) = sent.of(OrderFailed)
    assert (failed.code, len(tries)) == ("refused", 2)
    assert "1024 x 1024 pixels did not fit into the GPU's 24 GB" in failed.message
    assert "so far is a picture of 512 x 512 pixels" in failed.message


def test_a_picture_no_larger_than_one_before_is_not_to_blame_for_a_lack_of_memory():
    worn = reach()
    carried_out(PlayedPipeline(), order("a", side=1024), reached=worn)
    sent = carried_out(PlayedPipeline(troubled(OutOfMemoryError("full"))), order("a", side=1024), reached=worn)
    assert [failed.code for failed in sent.of(OrderFailed)] == ["out_of_memory"]


def test_beside_a_picture_that_is_tried_alone_nothing_is_encoded():
    encoded = threading.Event()
    tries = []

    def trouble(stage, prompts):
        if stage == "draw":
            tries.append(encoded.is_set())
            if len(tries) == 1:
                encoder.submit(lambda: (time.sleep(0.1), encoded.set()))
                raise OutOfMemoryError("full")

    with ThreadPoolExecutor(1) as encoder:
        carried_out(PlayedPipeline(trouble), order("a"), encoder=encoder)
    assert tries == [False, True]


def test_an_order_that_fails_is_told_once_however_many_pictures_it_has():
    sent = carried_out(PlayedPipeline(troubled(OutOfMemoryError("full"))), order("a", 3))
    assert [(failed.job, failed.code) for failed in sent.of(OrderFailed)] == [("a", "out_of_memory")]


def test_a_failure_that_breaks_the_process_ends_it():
    with pytest.raises(RuntimeError, match="CUDA error"):
        carried_out(PlayedPipeline(troubled(RuntimeError("CUDA error: an illegal memory access"))), order("a"))


def test_an_order_that_is_dropped_before_its_turn_is_not_drawn():
    pipeline = PlayedPipeline()
    sent = carried_out(pipeline, order("a"), order("b"), dropped=("a",))
    assert pipeline.drawn == [["b"]]
    assert outputs(sent) == [("b", 1)]


def test_a_batch_that_nobody_wants_is_freed_without_a_step():
    sent = carried_out(PlayedPipeline(), order("a"), dropped=("a",))
    assert [type(message) for message in sent] == [Began, Freed]


def test_missing_pictures_are_a_failure():
    class Forgetful(PlayedPipeline):
        def draw(self, orders, encoded, watch):
            return [[] for _ in orders]

    assert [failed.code for failed in carried_out(Forgetful(), order("a")).of(OrderFailed)] == ["failed"]
