"""What is known of a worker; its supervisor only notes what it is told to send."""

from types import SimpleNamespace

import pytest

from runtimes.flux.server.crew import Worker
from runtimes.flux.server.messages import Measure

SIZE = (512, 768)


@pytest.fixture
def sent() -> list:
    return []


@pytest.fixture
def worker(sent) -> Worker:
    return Worker(SimpleNamespace(send=sent.append))


def test_to_look_up_what_fits_asks_nothing(worker, sent):
    assert worker.max_pictures(SIZE) is None
    assert sent == []


def test_what_fits_is_asked_once_for_each_size(worker, sent):
    for size in (SIZE, SIZE, (64, 64)):
        worker.ask_most_pictures(size)
    assert sent == [Measure(512, 768), Measure(64, 64)]


def test_what_fits_is_known_once_it_was_told(worker, sent):
    worker.ask_most_pictures(SIZE)
    assert worker.max_pictures(SIZE) is None
    worker.learn(SIZE, 3)
    worker.ask_most_pictures(SIZE)
    assert worker.max_pictures(SIZE) == 3
    assert len(sent) == 1


def test_a_new_process_is_asked_again(worker, sent):
    worker.ask_most_pictures(SIZE)
    worker.learn(SIZE, 3)
    worker.clear()
    assert worker.max_pictures(SIZE) is None
    worker.ask_most_pictures(SIZE)
    assert len(sent) == 2
