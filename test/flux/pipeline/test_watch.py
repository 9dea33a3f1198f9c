"""Progress and previews of a batch while it is drawn, and how it stops."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.server.errors import PipelineStoppedError
from runtimes.flux.server.ports import DrawingWatch

each_family = pytest.mark.parametrize(
    ("name", "task"),
    [
        ("flux", TEXT_TO_IMAGE),
        ("flux-fill", INPAINTING),
        ("flux-kontext", EDIT),
        ("sdxl", IMAGE_TO_IMAGE),
        ("sd3", INPAINTING),
    ],
)


@each_family
def test_each_step_is_reported_and_a_cancelled_batch_stops_after_the_current_step(name, task, draw_one):
    reported = []
    request = {"steps": 5, "strength": 1.0}

    before = draw_one(name, task, watch=DrawingWatch(lambda *step: reported.append(step)), **request)

    assert reported == [(done, 5) for done in range(1, 6)]
    reported.clear()
    with pytest.raises(PipelineStoppedError):
        draw_one(
            name, task, watch=DrawingWatch(lambda *step: reported.append(step), lambda: len(reported) < 2), **request
        )
    assert reported == [(1, 5), (2, 5)]
    assert np.array_equal(draw_one(name, task, **request), before), "nothing is left behind"


@each_family
def test_a_preview_comes_before_the_end_resembles_the_picture_and_does_not_change_it(name, task, draw_one):
    steps, previews = [], []
    watch = DrawingWatch(
        lambda done, _: steps.append(done),
        previewed=lambda image: previews.append((steps[-1], np.asarray(image).astype(int))),
    )
    request = {"steps": 10, "strength": 1.0}

    final = draw_one(name, task, preview=True, watch=watch, **request)

    [(step, preview)] = previews
    assert step == 2, "a fifth of ten steps"
    other = draw_one(name, task, seeds=(2,), **request)
    assert np.abs(preview - final).mean() < np.abs(preview - other).mean() / 2
    assert np.array_equal(draw_one(name, task, watch=watch, **request), final)
    assert len(previews) == 1, "none unasked"


def test_a_preview_needs_three_steps(draw_one):
    previews = []
    for steps in (2, 3):
        draw_one(
            "flux", preview=True, steps=steps, watch=DrawingWatch(previewed=lambda _, at=steps: previews.append(at))
        )
    assert previews == [3]


def test_prompts_can_be_encoded_in_another_thread_while_a_batch_is_drawn(pipeline_of, make_request, draw):
    pipeline = pipeline_of("flux")
    now, following = make_request(prompt="a fox"), make_request(prompt="the moon", seeds=(3,))
    expected = draw(pipeline, now)[0][0], draw(pipeline, following)[0][0]
    encoded = []

    def step(done, _all):
        if done == 1:
            other = threading.Thread(target=lambda: encoded.append(pipeline.encode([following])))
            other.start()
            other.join()

    drawn = draw(pipeline, now, watch=DrawingWatch(step))[0][0]
    [[picture]] = pipeline.draw([following], encoded[0], DrawingWatch())

    assert np.array_equal(drawn, expected[0])
    assert np.array_equal(np.asarray(picture), expected[1])


def test_on_a_gpu_a_step_is_reported_when_it_is_done_and_not_when_it_is_queued(monkeypatch):
    """The next step is already queued while this process waits for the one before."""
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
    steps = StepCallback(DrawingWatch(lambda done, every: seen.append(f"reported {done} of {every}")), None)

    for step in range(3):
        steps(pipe, step, None, {"latents": latents})
    steps.end(pipe)

    assert seen == [
        *("queued 1", "queued 2", "done 1", "reported 1 of 3", "queued 3", "done 2", "reported 2 of 3"),
        *("done 3", "reported 3 of 3"),
    ]
