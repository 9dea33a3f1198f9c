"""How much of a text each family reads: a longer one is cut and told, or refused before anything is encoded."""

import dataclasses
import re

import pytest

from runtimes.flux.families import EDIT
from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.ports import DrawingWatch

pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

LENGTHS = {"flux": 24, "flux-fill": 24, "flux-kontext": 24, "sd3": 24, "sdxl": 77}
"""In tokens; SDXL's is fixed."""


@pytest.mark.parametrize("name", LENGTHS)
def test_a_text_that_is_cut_is_told_with_its_last_words(name, pipeline_of, make_request):
    pipeline = pipeline_of(name)
    request = make_request(
        pipeline.card.row.task_types[0],
        prompt="a red fox runs far " * 30,
        negative_prompt="rain " * 80,
        sequence_length=LENGTHS[name],
    )

    prompt, negative = pipeline.warnings(request)

    field = "instructions" if request.task_type == EDIT else "prompt"
    found = re.fullmatch(
        rf'{field} is cut: it has (\d+) tokens, and this model reads {LENGTHS[name]}, up to "(.+)"', prompt
    )
    assert found
    assert int(found[1]) > LENGTHS[name]
    assert found[2].replace(" ", "") in request.prompt.replace(" ", "")
    assert negative.startswith("negative_prompt is cut: ")


@pytest.mark.parametrize("name", LENGTHS)
def test_a_text_that_just_fits_is_not_warned_of(name, pipeline_of, make_request):
    pipeline = pipeline_of(name)
    fits, cut = (
        make_request(pipeline.card.row.task_types[0], prompt="x" * length, sequence_length=LENGTHS[name])
        for length in _around(pipeline, make_request, LENGTHS[name])
    )

    assert not pipeline.warnings(fits)
    assert pipeline.warnings(cut)


def _around(pipeline, make_request, most):
    """How many letters just fit, and one more; as the pipeline's own count tells."""
    [told] = pipeline.warnings(make_request(pipeline.card.row.task_types[0], prompt="x" * 500, sequence_length=most))
    beside = int(re.findall(r"\d+", told)[0]) - 500
    return most - beside, most - beside + 1


def test_instructions_that_qwen_has_no_places_for_are_refused_before_they_are_encoded(
    pipeline_of, make_request, draw, monkeypatch
):
    pipeline = pipeline_of("qwen-image-edit")
    request = make_request(EDIT, prompt="x" * 19_999, steps=2)
    with pytest.raises(PipelineRefusedError, match=r"^instructions has 19999 tokens; beside its images") as refused:
        pipeline.encode([request])
    most = int(re.findall(r"at most (\d+)", str(refused.value))[0])

    assert draw(pipeline, dataclasses.replace(request, prompt="x" * most))
    monkeypatch.setattr(pipeline._pipe, "encode_prompt", lambda **_: pytest.fail("it was encoded"))
    with pytest.raises(PipelineRefusedError, match=f"has {most + 1} tokens"):
        pipeline.encode([dataclasses.replace(request, prompt="x" * (most + 1))])
    with pytest.raises(PipelineRefusedError, match=r"^negative_prompt has 5000 tokens"):
        pipeline.encode([dataclasses.replace(request, prompt="x", negative_prompt="x" * 5000, true_cfg=4)])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_schedule_without_numbers_gives_no_black_picture(pipeline_of, make_request, draw):
    with pytest.raises(PipelineRefusedError, match="the model's numbers overflowed, so there is no picture"):
        draw(pipeline_of("qwen-image-edit"), make_request(EDIT, steps=1))


@pytest.mark.parametrize("name", ["flux", "flux-fill", "flux-kontext", "sdxl", "sd3"])
def test_numbers_that_overflow_give_no_black_picture(name, pipeline_of, make_request, monkeypatch):
    pipeline = pipeline_of(name)
    request = make_request(pipeline.card.row.task_types[0], steps=2)
    decode = pipeline._pipe.vae.decode
    for number in (float("nan"), float("inf")):

        def overflow(*given, by=number, **more):
            return (decode(*given, **more)[0] * by,)

        monkeypatch.setattr(pipeline._pipe.vae, "decode", overflow)
        with pytest.raises(PipelineRefusedError, match="the model's numbers overflowed"):
            pipeline.draw([request], pipeline.encode([request]), DrawingWatch())
