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
QUEUES = st.lists(JOBS, min_size=1, max_size=12)
MOST = st.integers(1, 8)


def joinable(queue):
    """The first job that waits and those that may be drawn with it."""
    key = queue[0].request.batch_key
    return [one for at, one in enumerate(queue) if one.request.batch_key == key and (at == 0 or not one.attempts)]


def pictures(jobs):
    return sum(len(one.request.seeds) for one in jobs)


@given(QUEUES, MOST)
def test_a_batch_is_the_first_that_waits_and_those_of_its_key_in_their_order(queue, most):
    chosen, _ = choose_batch(queue, most)
    assert chosen == joinable(queue)[: len(chosen)]
    assert chosen


@given(QUEUES, MOST)
def test_a_batch_has_no_more_pictures_than_fit_unless_one_job_alone_asks_for_more(queue, most):
    chosen, _ = choose_batch(queue, most)
    assert len(chosen) == 1 or pictures(chosen) <= most


@given(QUEUES, MOST)
def test_a_job_that_a_worker_was_lost_with_is_drawn_alone(queue, most):
    chosen, _ = choose_batch(queue, most)
    assert len(chosen) == 1 or not any(one.attempts for one in chosen)


@given(QUEUES, MOST)
def test_a_batch_is_full_when_the_next_of_its_key_does_not_fit_and_not_while_it_could_grow(queue, most):
    chosen, is_full = choose_batch(queue, most)
    left = joinable(queue)[len(chosen) :]
    assert is_full or not left
    assert not is_full or pictures(chosen) >= most or left or queue[0].attempts


REQUEST = GenerationRequest(
    job_id="a", task_type=TEXT_TO_IMAGE, prompt="a fox", seeds=(1,), width=64, height=64, steps=4, guidance=3.5
)
SETTINGS = {"width": 128, "height": 128, "steps": 5, "guidance": 2.0, "sequence_length": 64, "true_cfg": 2.0}
SETTINGS |= {"negative_prompt": "rain", "loras": (("style", 1.0),), "preview": True, "task_type": IMAGE_TO_IMAGE}


@pytest.mark.parametrize("change", [{"prompt": "the moon"}, {"seeds": (2, 3)}, {"job_id": "b"}])
def test_requests_of_other_prompts_and_seeds_may_be_denoised_together(change):
    assert replace(REQUEST, **change).batch_key == REQUEST.batch_key


@pytest.mark.parametrize("setting", SETTINGS)
def test_requests_of_other_settings_may_not(setting):
    assert replace(REQUEST, **{setting: SETTINGS[setting]}).batch_key != REQUEST.batch_key


def test_two_negative_prompts_are_no_reason_to_part():
    assert len({replace(REQUEST, negative_prompt=words).batch_key for words in ("rain", "snow")}) == 1


@pytest.mark.parametrize("task", [IMAGE_TO_IMAGE, INPAINTING, EDIT])
def test_requests_with_images_may_where_their_strength_is_the_same_but_an_edit_comes_alone(task):
    first = replace(REQUEST, task_type=task, images=(Image.new("RGB", (64, 64)),), strength=0.5)
    second = replace(first, job_id="b", images=(Image.new("RGB", (64, 64), "red"),))

    assert (first.batch_key == second.batch_key) is (task != EDIT)
    assert first.batch_key != replace(first, strength=0.6).batch_key
