"""What the server keeps of jobs, and for how long."""

import asyncio

import pytest

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server.job_book import JobBook
from runtimes.flux.server.jobs import Job, State
from runtimes.flux.server.messages import Output
from runtimes.flux.server.orders import asked_of

CARD = card_of(ModelOptions(profile="flux-schnell"), FAMILIES["flux"])
PICTURE = Output(batch=1, job="a", number=1, kind="picture", content_type="image/png", content=b"", finish_s=0)


def job(name: str) -> Job:
    return Job(name, asked_of({"prompt": "a fox", "seed": 1}, "text-to-image", CARD, name))


def ended(book: JobBook, name: str, size_bytes: int = 0) -> Job:
    one = job(name)
    book.add(one)
    content = bytes(size_bytes)
    one.take(Output(batch=1, job=name, number=1, kind="picture", content_type="image/png", content=content, finish_s=0))
    one.end(State.SUCCEEDED)
    book.settle(one)
    return one


async def test_an_ended_job_is_forgotten_after_its_time():
    book = JobBook(kept_seconds=0.05)
    ended(book, "a")
    assert book.get("a") is not None
    await asyncio.sleep(0.1)
    assert book.get("a") is None


async def test_the_oldest_ended_jobs_go_first_where_they_hold_too_much():
    book = JobBook(kept_bytes=250)
    for name in "abc":
        ended(book, name, 100)
    assert [name for name in "abc" if book.get(name)] == ["b", "c"]


async def test_the_last_ended_job_stays_however_much_it_holds():
    book = JobBook(kept_bytes=250)
    ended(book, "a", 1000)
    assert book.get("a") is not None


async def test_a_running_job_is_never_forgotten():
    book = JobBook()
    one = job("a")
    book.add(one)
    book.forget(one)
    assert book.get("a") is one


async def test_jobs_that_are_put_back_wait_before_later_ones():
    book = JobBook()
    jobs = [job(name) for name in "abc"]
    for one in jobs:
        book.add(one)
    book.take(jobs[:2])
    book.put_back(reversed(jobs[:2]))
    assert [one.id for one in book.waiting] == ["a", "b", "c"]


async def test_images_of_an_ended_job_are_let_go(picture):
    content = {"prompt": "a fox", "image": picture()}
    one = Job("a", asked_of(content, "image-to-image", CARD, "a"))
    assert one.asked.order.images
    one.end(State.CANCELLED)
    assert not one.asked.order.images


async def test_waiting_for_an_idle_book_ends_with_the_last_job():
    book = JobBook()
    one = job("a")
    book.add(one)
    idle = asyncio.create_task(book.until_idle())
    await asyncio.sleep(0)
    assert not idle.done()
    one.end(State.CANCELLED)
    book.settle(one)
    await asyncio.wait_for(idle, 1)


async def test_progress_never_goes_back():
    one = job("a")
    for share in (0.5, 0.3, 0.6):
        one.step(share)
    assert one.progress == pytest.approx(0.6)


async def test_waiting_for_fetches_ends_with_the_last_output():
    book = JobBook()
    for name in "ab":
        ended(book, name)
    fetched = asyncio.create_task(book.until_fetched(30))
    for name in "ab":
        await asyncio.sleep(0)
        assert not fetched.done()
        book.fetch(book.get(name), 1)
    await asyncio.wait_for(fetched, 1)


async def test_a_forgotten_job_is_not_waited_for():
    book = JobBook()
    book.forget(ended(book, "a"))
    await asyncio.wait_for(book.until_fetched(30), 1)


async def test_a_job_that_ended_long_ago_is_not_waited_for():
    book = JobBook()
    ended(book, "a")
    await asyncio.sleep(0.05)
    await asyncio.wait_for(book.until_fetched(0.01), 1)


async def test_a_job_without_pictures_is_not_waited_for():
    book = JobBook()
    one = job("a")
    book.add(one)
    one.end(State.CANCELLED)
    book.settle(one)
    await asyncio.wait_for(book.until_fetched(30), 1)


def test_an_output_that_was_asked_for_before_it_was_there_is_not_fetched():
    one = job("a")
    assert one.fetch(1) is None
    one.take(PICTURE)
    assert not one.is_fetched
    assert one.fetch(1) is PICTURE
    assert one.is_fetched


def test_a_job_that_is_drawn_again_is_fetched_again():
    one = job("a")
    one.take(PICTURE)
    one.fetch(1)
    one.wait()
    one.take(PICTURE)
    assert not one.is_fetched
