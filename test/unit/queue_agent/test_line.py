import asyncio

import pytest

from queue_agent.forecast import JobForecast, LeadTime
from queue_agent.line import MAX_HELD, Line
from queue_agent.ports import Work


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Progress:
    """A model server that says how far it is."""

    def __init__(self, *fractions):
        self.fractions = list(fractions)
        self.asked = 0

    async def __call__(self):
        self.asked += 1
        return self.fractions.pop(0) if self.fractions else None


@pytest.fixture
def clock():
    return Clock()


def line_of(clock, *, places=1, progress=None):
    return Line(places, progress or Progress(), clock)


async def run(line, clock, *, seconds=None, kind="k", units=1):
    """Bring a message to the GPU; with ``seconds``, through it too."""
    place = line.join()
    place.ready(Work(kind, units))
    await place.take_turn()
    place.started()
    if seconds is not None:
        clock.now += seconds
        place.freed()
        place.leave()
    return place


async def is_wanted(line):
    """Whether the next message is wanted at this very moment."""
    try:
        await asyncio.wait_for(line.until_next_is_wanted(), 0.02)
    except TimeoutError:
        return False
    return True


async def test_an_idle_line_wants_a_message_at_once(clock):
    assert await is_wanted(line_of(clock))


async def test_a_line_with_a_message_before_the_gpu_wants_none(clock):
    line = line_of(clock)
    line.join()
    assert not await is_wanted(line)


async def test_a_job_of_unknown_length_is_waited_for_to_its_end(clock):
    line = line_of(clock)
    place = await run(line, clock)
    clock.now += 100
    assert not await is_wanted(line)
    place.freed()
    assert await is_wanted(line)


async def test_a_message_is_wanted_when_the_running_job_is_about_to_end_and_not_before(clock):
    line = line_of(clock)
    await run(line, clock, seconds=10)
    await run(line, clock)
    clock.now += 10 - line.lead.seconds - 1
    assert not await is_wanted(line)
    clock.now += 1
    assert await is_wanted(line)


async def test_steps_tell_how_long_a_job_of_a_known_kind_takes(clock):
    line = line_of(clock)
    await run(line, clock, seconds=2, units=10)
    place = await run(line, clock, units=50)
    assert place.remaining_s == pytest.approx(10)


async def test_a_job_that_is_slower_than_foretold_is_asked_how_far_it_is(clock):
    progress = Progress(0.25)
    line = line_of(clock, progress=progress)
    await run(line, clock, seconds=10)
    place = await run(line, clock)
    clock.now += 10
    assert not await is_wanted(line)
    assert progress.asked == 1
    assert place.remaining_s == pytest.approx(30)


async def test_a_small_difference_between_forecast_and_progress_means_nothing(clock):
    # Servers tell whole steps: shortly before its end a job of ten steps still says nine.
    line = line_of(clock, progress=Progress(0.9))
    await run(line, clock, seconds=10)
    await run(line, clock)
    clock.now += 9.99
    assert await is_wanted(line)


async def test_a_job_of_an_unknown_kind_is_soon_asked_how_far_it_is(clock):
    progress = Progress(None, 0.5)
    line = line_of(clock, progress=progress)
    await run(line, clock)
    wanted = asyncio.create_task(line.until_next_is_wanted())
    await asyncio.sleep(0.02)
    clock.now += 0.1
    await asyncio.wait_for(wanted, 1)
    assert progress.asked == 2


async def test_a_job_of_unknown_length_is_foretold_from_its_progress(clock):
    progress = Progress(0.5)
    line = line_of(clock, progress=progress)
    place = await run(line, clock)
    clock.now += 30
    assert not await is_wanted(line)
    assert place.remaining_s == pytest.approx(30)


async def test_a_second_job_waits_its_turn_until_the_first_is_freed(clock):
    line = line_of(clock)
    first = await run(line, clock)
    second = line.join()
    waiting = asyncio.create_task(second.take_turn())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.freed()
    await asyncio.wait_for(waiting, 1)
    first.end_turn()  # a turn is given back once
    third = asyncio.create_task(line.join().take_turn())
    await asyncio.sleep(0)
    assert not third.done()
    third.cancel()


async def test_a_server_with_two_places_is_given_two_jobs(clock):
    line = line_of(clock, places=2)
    for _ in range(2):
        await asyncio.wait_for(line.join().take_turn(), 1)
    third = asyncio.create_task(line.join().take_turn())
    await asyncio.sleep(0)
    assert not third.done()
    third.cancel()


async def test_no_more_messages_are_held_than_memory_should_bear(clock):
    line = line_of(clock)
    places = []
    for _ in range(MAX_HELD):
        place = await run(line, clock)
        place.freed()
        places.append(place)
    assert not await is_wanted(line)
    places[0].leave()
    assert await is_wanted(line)


async def test_a_message_that_leaves_before_its_turn_makes_room_for_the_next(clock):
    line = line_of(clock)
    place = line.join()
    assert not await is_wanted(line)
    place.leave()
    assert await is_wanted(line)


def test_the_forecast_follows_the_newest_jobs():
    forecast = JobForecast()
    assert forecast.predict_s("k", 1) is None
    forecast.learn("k", 10, 10)
    assert forecast.predict_s("k", 5) == 5
    for _ in range(20):
        forecast.learn("k", 10, 20)
    assert forecast.predict_s("k", 10) == pytest.approx(20, rel=0.01)
    assert forecast.predict_s("other", 1) is None


def test_the_forecast_tells_what_every_job_costs_from_what_every_step_costs():
    forecast = JobForecast()
    for steps in (3, 20, 10, 7):
        forecast.learn("k", steps, 0.1 + 0.05 * steps)
    assert forecast.predict_s("k", 50) == pytest.approx(2.6)


def test_the_lead_grows_with_slow_inputs_and_not_with_long_polls():
    lead = LeadTime()
    lead.received(0.02)
    lead.received(19.0)
    before = lead.seconds
    for _ in range(10):
        lead.prepared(2.0)
    assert before < 0.5
    assert lead.seconds > 2.0
