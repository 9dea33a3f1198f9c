"""Each family's limit for texts: a longer one is cut with a warning, or refused before encoding."""

import dataclasses
import re

import pytest

from runtimes.flux.families import EDIT, FAMILIES
from runtimes.flux.server.errors import PipelineRefusedError

LENGTHS = {"flux": 24, "flux-fill": 24, "flux-kontext": 24, "sd3": 24, "sdxl": 77}
"""In tokens; SDXL's is fixed."""


@pytest.mark.parametrize("name", LENGTHS)
def test_a_warning_quotes_the_last_words_of_a_cut_text_and_none_comes_for_one_that_just_fits(
    name, pipeline_of, make_request
):
    pipeline, most = pipeline_of(name), LENGTHS[name]

    def warnings(prompt, negative=None):
        task = FAMILIES[name].task_types[0]
        return pipeline.warnings(make_request(task, prompt=prompt, negative_prompt=negative, sequence_length=most))

    prompt, negative = warnings("a red fox runs far " * 30, "rain " * 80)
    field = "instructions" if FAMILIES[name].task_types[0] == EDIT else "prompt"
    found = re.fullmatch(rf'{field} is cut: it has (\d+) tokens, and this model reads {most}, up to "(.+)"', prompt)
    assert int(found[1]) > most
    assert found[2].replace(" ", "") in ("a red fox runs far " * 30).replace(" ", "")
    assert negative.startswith("negative_prompt is cut: ")

    added = int(re.findall(r"\d+", warnings("x" * 500)[0])[0]) - 500
    assert [len(warnings("x" * (most - added + more))) for more in (0, 1)] == [0, 1]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_long_prompt_is_cut_at_the_requested_length_unless_its_family_reads_it_whole(name, pipeline_of, make_request):
    family = FAMILIES[name]
    request = make_request(family.task_types[0], prompt="fox " * 400)

    short, longer = (
        pipeline_of(name).encode([dataclasses.replace(request, sequence_length=length)])[0]["prompt_embeds"].shape[1]
        for length in (24, 40)
    )

    assert longer - short == (0 if family.sequence_length is None else 40 - 24)
    assert (longer > 400) == family.whole_prompts


def test_instructions_too_long_for_qwen_are_refused_before_they_are_encoded(
    pipeline_of, make_request, draw, monkeypatch
):
    pipeline = pipeline_of("qwen-image-edit")
    request = make_request(EDIT, prompt="x" * 19_999, steps=2)
    with pytest.raises(PipelineRefusedError, match=r"^instructions has 19999 tokens; beside its images") as refused:
        pipeline.encode([request])
    most = int(re.findall(r"at most (\d+)", str(refused.value))[0])

    assert draw(pipeline, dataclasses.replace(request, prompt="x" * most))
    monkeypatch.setattr(
        "diffusers.QwenImageEditPlusPipeline.encode_prompt", lambda *_, **__: pytest.fail("it was encoded")
    )
    with pytest.raises(PipelineRefusedError, match=f"has {most + 1} tokens"):
        pipeline.encode([dataclasses.replace(request, prompt="x" * (most + 1))])
    with pytest.raises(PipelineRefusedError, match=r"^negative_prompt has 5000 tokens"):
        pipeline.encode([dataclasses.replace(request, prompt="x", negative_prompt="x" * 5000, true_cfg=4)])
