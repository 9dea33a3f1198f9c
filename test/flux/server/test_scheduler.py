"""Which waiting jobs are drawn together: promises that hold for every queue."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from runtimes.flux.server.engine.scheduler import choose_batch

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
