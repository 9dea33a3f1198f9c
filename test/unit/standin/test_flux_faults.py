"""What the FLUX server's painting pipeline does wrong when it is told to."""

import json

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineStoppedError
from runtimes.flux.server.ports import DrawingWatch, GenerationRequest
from runtimes.flux.standin.painting import load

ORDER = GenerationRequest(
    job_id="j", task_type="text-to-image", prompt="a fox", seeds=(1,), width=64, height=64, steps=3, guidance=3.5
)
ENOUGH = 4


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """Sets faults."""
    file = tmp_path / "faults.json"
    monkeypatch.setenv("STANDIN_FAULTS", str(file))
    monkeypatch.setenv("STANDIN_STEP_SECONDS", "0.001")
    return lambda **values: file.write_text(json.dumps(values))


def draw(stepped, looks):
    """Draw; after so many looks nobody wants the picture any more."""
    pipeline, left = load(ModelOptions(profile="flux-dev"), "", 0), iter(range(looks))
    watch = DrawingWatch(stepped, lambda: next(left, None) is not None)
    return pipeline.draw([ORDER], pipeline.encode([ORDER]), watch)


def test_a_held_batch_tells_again_and_again_how_far_it_is_until_the_hold_is_lifted(faults):
    faults(hold_at_step=2)
    told = []

    def stepped(*step):
        told.append(step)
        if len(told) == ENOUGH:
            faults()

    ((picture,),) = draw(stepped, looks=10 * ENOUGH)
    assert told == [(1, 3)] * ENOUGH + [(2, 3), (3, 3)]
    assert picture.size == (64, 64)


def test_a_held_batch_that_nobody_wants_any_more_is_stopped(faults):
    faults(hold_at_step=2)
    told = []
    with pytest.raises(PipelineStoppedError):
        draw(lambda *step: told.append(step), looks=ENOUGH)
    assert (3, 3) not in told
