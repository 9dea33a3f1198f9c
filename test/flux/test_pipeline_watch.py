"""What can be seen while a batch is drawn, and how it is stopped."""

import threading
from types import SimpleNamespace

import pytest

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.server.errors import PipelineStoppedError
from runtimes.flux.server.ports import DrawingWatch

np = pytest.importorskip("numpy", reason="the packages of the group flux are not installed here")
pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

FAST = [
    ("flux", TEXT_TO_IMAGE),
    ("flux-fill", INPAINTING),
    ("flux-kontext", EDIT),
    ("sdxl", IMAGE_TO_IMAGE),
    ("sd3", INPAINTING),
]


@pytest.mark.parametrize(("name", "task"), FAST)
def test_each_step_is_told_with_the_number_of_all(name, task, pipeline_of, make_request, draw):
    told = []

    draw(
        pipeline_of(name),
        make_request(task, steps=5, strength=1.0),
        watch=DrawingWatch(lambda done, every: told.append((done, every)), lambda: True),
    )

    assert told == [(done, 5) for done in range(1, 6)]


def test_steps_that_strength_leaves_out_are_not_counted(pipeline_of, make_request, draw):
    told = []

    draw(
        pipeline_of("flux"),
        make_request(IMAGE_TO_IMAGE, steps=8, strength=0.5),
        watch=DrawingWatch(lambda done, every: told.append((done, every)), lambda: True),
    )

    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(("name", "task"), FAST)
def test_a_batch_that_nobody_wants_stops_after_the_step_that_runs(name, task, pipeline_of, make_request, draw):
    told = []
    watch = DrawingWatch(lambda done, _all: told.append(done), lambda: len(told) < 2)

    with pytest.raises(PipelineStoppedError):
        draw(pipeline_of(name), make_request(task, steps=6, strength=1.0), watch=watch)

    assert told == [1, 2]


def test_a_stopped_batch_leaves_nothing_behind(pipeline_of, make_request, draw):
    asked = make_request()
    before = draw(pipeline_of("flux"), asked)[0][0]
    with pytest.raises(PipelineStoppedError):
        draw(pipeline_of("flux"), asked, watch=DrawingWatch(lambda _done, _all: None, lambda: False))

    assert np.array_equal(draw(pipeline_of("flux"), asked)[0][0], before)


@pytest.mark.parametrize(("name", "task"), FAST)
def test_an_early_look_comes_before_the_end_and_resembles_the_picture(name, task, pipeline_of, make_request, draw):
    steps = []
    looks = []
    watch = DrawingWatch(
        lambda done, _all: steps.append(done),
        lambda: True,
        lambda picture: looks.append((steps[-1], np.asarray(picture).astype(int))),
    )
    asked = make_request(task, steps=10, strength=1.0, preview=True)

    [[final]] = draw(pipeline_of(name), asked, watch=watch)
    [[other]] = draw(pipeline_of(name), make_request(task, steps=10, strength=1.0, seeds=(2,)))

    [(step, early)] = looks
    assert step == 2, "a fifth of ten steps"
    assert early.shape == final.shape
    assert np.abs(early - final).mean() < np.abs(early - other).mean() / 2


def test_no_early_look_is_taken_unasked(pipeline_of, make_request, draw):
    looks = []

    draw(pipeline_of("flux"), make_request(), watch=DrawingWatch(lambda _done, _all: None, lambda: True, looks.append))

    assert looks == []


def test_an_early_look_does_not_change_the_picture(pipeline_of, make_request, draw):
    with_one, without = (draw(pipeline_of("flux"), make_request(preview=preview))[0][0] for preview in (True, False))

    assert np.array_equal(with_one, without)


def test_prompts_may_be_encoded_in_another_thread_while_a_batch_is_drawn(pipeline_of, make_request, draw):
    pipeline = pipeline_of("flux")
    now, following = make_request(prompt="a fox"), make_request(prompt="the moon", seeds=(3,))
    expected = draw(pipeline, now)[0][0], draw(pipeline, following)[0][0]
    encoded = []

    def step(done, _all):
        if done == 1:
            beside = threading.Thread(target=lambda: encoded.append(pipeline.encode([following])))
            beside.start()
            beside.join()

    drawn = draw(pipeline, now, watch=DrawingWatch(step, lambda: True))[0][0]
    [[picture]] = pipeline.draw([following], encoded[0], DrawingWatch())

    assert np.array_equal(drawn, expected[0])
    assert np.array_equal(np.asarray(picture), expected[1])


def test_on_a_gpu_a_step_is_told_when_it_is_done_and_not_when_it_is_queued(monkeypatch):
    """The next step is queued already while this process waits for the one before it."""
    from runtimes.flux.server.pipeline.steps import StepCallback

    seen = []
    numbers = iter(range(1, 9))

    class Event:
        def __init__(self):
            self.number = next(numbers)

        def record(self, _stream):
            seen.append(f"queued {self.number}")

        def synchronize(self):
            seen.append(f"done {self.number}")

    monkeypatch.setattr("torch.cuda.Event", Event)
    monkeypatch.setattr("torch.cuda.current_stream", lambda _device: None)
    pipe = SimpleNamespace(num_timesteps=3)
    latents = SimpleNamespace(device=SimpleNamespace(type="cuda"))
    steps = StepCallback(DrawingWatch(lambda done, every: seen.append(f"told {done} of {every}"), lambda: True), None)

    for step in range(3):
        steps(pipe, step, None, {"latents": latents})
    steps.end(pipe)

    assert seen == [
        *("queued 1", "queued 2", "done 1", "told 1 of 3", "queued 3", "done 2", "told 2 of 3"),
        *("done 3", "told 3 of 3"),
    ]
