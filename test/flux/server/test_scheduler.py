"""Which jobs are drawn together: those of one batch key, by promises that hold for every queue."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.server.engine.scheduler import choose_batch
from runtimes.flux.server.ports import GenerationRequest

JOBS = st.builds(
    lambda key, pictures, attempts: SimpleNamespace(
        request=SimpleNamespace(batch_key=key, seeds=range(pictures)), attempts=attempts
    ),
    st.integers(0, 2),
    st.integers(1, 6),
    st.sampled_from([0, 0, 1]),
)


@given(st.lists(JOBS, min_size=1, max_size=12), st.integers(1, 8))
def test_a_batch_is_the_first_that_waits_and_those_of_its_key_that_fit_in_their_order(queue, most):
    first = queue[0]
    joinable = [one for one in queue[1:] if one.request.batch_key == first.request.batch_key and not one.attempts]
    chosen, is_full = choose_batch(queue, most)
    pictures = sum(len(one.request.seeds) for one in chosen)
    left = [first, *joinable][len(chosen) :]

    assert chosen == [first, *joinable][: len(chosen)] != []
    assert len(chosen) == 1 or pictures <= most
    assert len(chosen) == 1 or not first.attempts, "a job that a worker was lost with is drawn alone"
    assert is_full or not left, "it could have grown"
    assert not is_full or pictures >= most or left or first.attempts


REQUEST = GenerationRequest(
    job_id="a", task_type=TEXT_TO_IMAGE, prompt="a fox", seeds=(1,), width=64, height=64, steps=4, guidance=3.5
)
SETTINGS = {"width": 128, "height": 128, "steps": 5, "guidance": 2.0, "sequence_length": 64, "true_cfg": 2.0}
SETTINGS |= {"negative_prompt": "rain", "loras": (("style", 1.0),), "preview": True, "task_type": IMAGE_TO_IMAGE}


def test_requests_of_other_prompts_and_seeds_may_be_denoised_together_and_those_of_other_settings_may_not():
    for same in ({"prompt": "the moon"}, {"seeds": (2, 3)}, {"job_id": "b"}):
        assert replace(REQUEST, **same).batch_key == REQUEST.batch_key
    for name, value in SETTINGS.items():
        assert replace(REQUEST, **{name: value}).batch_key != REQUEST.batch_key, name
    assert len({replace(REQUEST, negative_prompt=words).batch_key for words in ("rain", "snow")}) == 1


@pytest.mark.parametrize("task", [IMAGE_TO_IMAGE, INPAINTING, EDIT])
def test_requests_with_images_may_where_their_strength_is_the_same_but_an_edit_comes_alone(task):
    first = replace(REQUEST, task_type=task, images=(Image.new("RGB", (64, 64)),), strength=0.5)
    second = replace(first, job_id="b", images=(Image.new("RGB", (64, 64), "red"),))
    assert (first.batch_key == second.batch_key) is (task != EDIT)
    assert first.batch_key != replace(first, strength=0.6).batch_key
