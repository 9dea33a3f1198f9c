"""Which orders are drawn together: promises that hold for every queue."""

from hypothesis import given
from hypothesis import strategies as st

from runtimes.flux.server.batching import Candidate, gathered, parts, singles
from runtimes.flux.server.ports import Order

CANDIDATES = st.builds(
    Candidate, key=st.tuples(st.integers(0, 2)), pictures=st.integers(1, 6), alone=st.sampled_from([False, False, True])
)
QUEUES = st.lists(CANDIDATES, min_size=1, max_size=12)
MOST = st.integers(1, 8)


def order(job: str, pictures: int, preview: bool = False) -> Order:
    return Order(
        job=job,
        task_type="text-to-image",
        prompt="a fox",
        seeds=tuple(range(100, 100 + pictures)),
        width=64,
        height=64,
        steps=4,
        guidance=0,
        preview=preview,
    )


ORDERS = st.lists(st.integers(1, 9), min_size=1, max_size=5).map(
    lambda counts: [order(str(number), count, preview=True) for number, count in enumerate(counts)]
)


@given(QUEUES, MOST)
def test_the_first_that_waits_is_always_in_the_batch(queue, most):
    assert gathered(queue, most)[0][0] == 0


@given(QUEUES, MOST)
def test_a_batch_has_one_key(queue, most):
    chosen, _ = gathered(queue, most)
    assert {queue[position].key for position in chosen} == {queue[0].key}


@given(QUEUES, MOST)
def test_a_batch_has_no_more_pictures_than_fit_unless_one_order_alone_asks_for_more(queue, most):
    chosen, _ = gathered(queue, most)
    assert len(chosen) == 1 or sum(queue[position].pictures for position in chosen) <= most


@given(QUEUES, MOST)
def test_nobody_overtakes_within_a_key(queue, most):
    chosen, _ = gathered(queue, most)
    joinable = [at for at, one in enumerate(queue) if one.key == queue[0].key and (at == 0 or not one.alone)]
    assert chosen == joinable[: len(chosen)]


@given(QUEUES, MOST)
def test_who_must_be_alone_is_alone(queue, most):
    chosen, _ = gathered(queue, most)
    assert len(chosen) == 1 or not any(queue[position].alone for position in chosen)


@given(QUEUES, MOST)
def test_a_batch_is_full_when_the_next_of_its_key_does_not_fit(queue, most):
    chosen, full = gathered(queue, most)
    left = [one for at, one in enumerate(queue) if one.key == queue[0].key and not one.alone and at not in chosen]
    assert full or not left


@given(QUEUES, MOST)
def test_a_batch_that_could_grow_is_not_full(queue, most):
    chosen, full = gathered(queue, most)
    left = [one for at, one in enumerate(queue) if one.key == queue[0].key and not one.alone and at not in chosen]
    pictures = sum(queue[position].pictures for position in chosen)
    assert not full or pictures >= most or left or queue[0].alone


@given(QUEUES, MOST)
def test_every_queue_is_served_to_its_end_in_no_more_batches_than_orders(queue, most):
    batches = 0
    while queue:
        chosen = set(gathered(queue, most)[0])
        queue = [one for at, one in enumerate(queue) if at not in chosen]
        batches += 1
    assert batches <= 12


def test_an_empty_queue_makes_no_batch():
    assert gathered([], 4) == ([], False)


@given(ORDERS, MOST)
def test_parts_hold_every_picture_once_under_its_number(orders, most):
    drawn = [
        (share.order.job, share.first + offset, seed)
        for part in parts(orders, most)
        for share in part
        for offset, seed in enumerate(share.order.seeds)
    ]
    assert drawn == [(one.job, number, seed) for one in orders for number, seed in enumerate(one.seeds, start=1)]


@given(ORDERS, MOST)
def test_parts_are_full_but_for_the_last(orders, most):
    sizes = [sum(len(share.order.seeds) for share in part) for part in parts(orders, most)]
    assert set(sizes[:-1]) <= {most}
    assert sizes[-1] <= most


@given(ORDERS, MOST)
def test_only_the_first_picture_of_an_order_is_previewed(orders, most):
    for part in parts(orders, most):
        assert all(share.order.preview == (share.first == 1) for share in part)


@given(ORDERS)
def test_singles_are_the_pictures_of_a_part(orders):
    (part,) = parts(orders, 99)
    found = [(one.order.job, one.first, one.order.seeds) for (one,) in singles(part)]
    assert found == [(one.job, at, (seed,)) for one in orders for at, seed in enumerate(one.seeds, start=1)]
