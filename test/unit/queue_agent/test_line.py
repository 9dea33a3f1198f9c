import asyncio
import math

import pytest

from queue_agent.errors import ServerError
from queue_agent.forecast import JobForecast, LeadTime
from queue_agent.line import MAX_HELD, Line
from queue_agent.ports import Capacity, Work


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


def line_of(clock, **capacity):
    line = Line(clock)
    line.open(Capacity(**capacity))
    return line


async def run(line, clock, *, seconds=None, units=1, batch=None, progress=None, **work):
    """Bring a message to the GPU; with ``seconds``, through it too."""
    place = line.join()
    place.ready(Work("k", units, **work), progress or Progress())
    await place.take_turn()
    place.started(batch)
    if seconds is not None:
        clock.now += seconds
        place.freed()
        place.succeeded()
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


async def test_a_slow_preparation_does_not_leave_the_gpu_idle_while_others_wait_in_the_queue(clock):
    line = line_of(clock)
    for _ in range(MAX_HELD):
        assert await is_wanted(line)
        line.join()
        assert not await is_wanted(line)
        clock.now += 2.9
        assert not await is_wanted(line)
        clock.now += 0.2
    assert not await is_wanted(line)  # as many as may be held


async def test_beside_a_slow_preparation_the_next_message_goes_first_when_it_is_ready_first(clock):
    line = line_of(clock)
    slow = line.join()
    clock.now += 4
    quick = await run(line, clock)
    assert quick.is_running
    assert not await is_wanted(line)  # as long as nothing is known of its end
    slow.ready(Work("k", 1), Progress())
    quick.freed()
    await slow.take_turn()
    assert not await is_wanted(line)


async def test_the_line_looks_again_when_a_preparation_becomes_slow(monkeypatch):
    monkeypatch.setattr("queue_agent.line._SLOW_PREPARATION_S", 0.02)
    line = Line()
    line.join()
    assert await asyncio.wait_for(line.until_next_is_wanted(), 5) == 1


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
    line = line_of(clock)
    await run(line, clock, seconds=10)
    place = await run(line, clock, progress=progress)
    clock.now += 10
    assert not await is_wanted(line)
    assert progress.asked == 1
    assert place.remaining_s == pytest.approx(30)


async def test_a_small_difference_between_forecast_and_progress_means_nothing(clock):
    # Servers tell whole steps: shortly before its end a job of ten steps still says nine.
    line = line_of(clock)
    await run(line, clock, seconds=10)
    await run(line, clock, progress=Progress(0.9))
    clock.now += 9.99
    assert await is_wanted(line)


async def test_a_job_of_an_unknown_kind_is_soon_asked_how_far_it_is(clock):
    progress = Progress(None, 0.5)
    line = line_of(clock)
    await run(line, clock, progress=progress)
    wanted = asyncio.create_task(line.until_next_is_wanted())
    await asyncio.sleep(0.02)
    clock.now += 0.1
    await asyncio.wait_for(wanted, 1)
    assert progress.asked == 2


async def test_a_job_of_unknown_length_is_foretold_from_its_progress(clock):
    progress = Progress(0.5)
    line = line_of(clock)
    place = await run(line, clock, progress=progress)
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


@pytest.mark.parametrize(
    ("capacity", "places"),
    [({"ahead": True}, 2), ({"ahead": True, "batch": 4}, 8), ({"ahead": True, "devices": 2}, 3), ({"devices": 2}, 2)],
)
async def test_a_server_is_given_what_it_runs_and_what_it_takes_ahead(clock, capacity, places):
    line = line_of(clock, **capacity)
    for _ in range(places):
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


async def asked_for(line):
    """How many messages are asked for at this very moment."""
    return await asyncio.wait_for(line.until_next_is_wanted(), 0.02)


async def test_an_idle_gpu_asks_for_one_message_however_many_it_could_run_together(clock):
    line = line_of(clock, batch=4, ahead=True)
    await run(line, clock, seconds=10, together=4)
    assert await asked_for(line) == 1


async def test_as_many_messages_are_asked_for_as_run_together_next(clock):
    line = line_of(clock, batch=4, ahead=True)
    await run(line, clock, seconds=10, together=4)
    for _ in range(2):
        await run(line, clock, batch=1, together=3)
    clock.now += 20
    assert await asked_for(line) == 3


async def test_no_more_messages_are_asked_for_than_may_be_held(clock):
    line = line_of(clock, batch=4, ahead=True)
    for _ in range(MAX_HELD - 3):
        place = await run(line, clock, together=4)
        place.freed()
        place.succeeded()
    await run(line, clock, together=4)
    clock.now += 20
    assert await asked_for(line) == 2


async def test_a_server_that_can_have_more_jobs_than_are_held_at_most_gets_them_all_the_same(clock):
    line = line_of(clock, devices=MAX_HELD + 1)
    for _ in range(MAX_HELD):
        await run(line, clock)
    assert await is_wanted(line)
    await run(line, clock)
    assert not await is_wanted(line)


async def test_a_second_gpu_is_filled_while_the_first_one_works(clock):
    line = line_of(clock, devices=2, ahead=True)
    await run(line, clock)
    assert await asked_for(line) == 1
    waiting = line.join()
    assert not await is_wanted(line)
    waiting.leave()
    await run(line, clock)
    assert not await is_wanted(line)


async def test_two_idle_gpus_are_offered_a_message_each(clock):
    line = line_of(clock, devices=2)
    line.join()
    assert await is_wanted(line)
    line.join()
    assert not await is_wanted(line)


async def test_jobs_that_run_together_leave_the_other_gpu_idle(clock):
    line = line_of(clock, devices=2, batch=2, ahead=True)
    for _ in range(2):
        await run(line, clock, batch=1, together=2)
    assert await is_wanted(line)


async def test_of_two_busy_gpus_the_one_that_ends_first_says_when_a_message_is_wanted(clock):
    line = line_of(clock, devices=2)
    await run(line, clock, seconds=100)
    await run(line, clock)
    clock.now += 50
    await run(line, clock)
    clock.now += 50 - line.lead.seconds - 0.1
    assert not await is_wanted(line)
    clock.now += 0.2
    assert await is_wanted(line)


async def test_a_message_is_wanted_before_the_server_decides_what_it_runs_next(clock):
    line = line_of(clock, batch=2, ahead=True)
    await run(line, clock, seconds=10, together=2, last_call=0.25)
    await run(line, clock, together=2, last_call=0.25)
    clock.now += 7.5 - line.lead.seconds - 0.1
    assert not await is_wanted(line)
    clock.now += 0.2
    assert await is_wanted(line)


async def test_the_forecast_of_a_batch_counts_what_all_of_it_has_to_do(clock):
    line = line_of(clock, batch=4, ahead=True)
    for together, seconds in ((1, 2), (4, 5)):  # a second for the batch, and one for each job
        places = [await run(line, clock, batch=together) for _ in range(together)]
        clock.now += seconds
        for place in places:
            place.freed()
            place.succeeded()
            place.leave()
    places = [await run(line, clock, batch=9) for _ in range(3)]
    assert [place.remaining_s for place in places] == pytest.approx([4, 4, 4])


async def test_a_jobs_progress_is_its_own_and_known_only_while_it_runs(clock):
    line = line_of(clock, devices=2)
    first = await run(line, clock, progress=Progress(0.25))
    second = await run(line, clock, progress=Progress(0.75, 0.9))
    assert (await first.progress(), await second.progress()) == (0.25, 0.75)
    second.freed()
    assert await second.progress() is None


async def test_a_job_without_a_result_teaches_nothing(clock):
    line = line_of(clock)
    await run(line, clock, seconds=10)
    place = await run(line, clock)
    clock.now += 0.02
    place.freed()
    place.leave()
    assert (await run(line, clock)).remaining_s == pytest.approx(10)


@pytest.mark.parametrize("answer", [ServerError("500"), KeyError("progress"), float("nan"), -1, 2, "half", None])
async def test_progress_that_nobody_can_tell_harms_nobody(clock, answer):
    async def progress():
        if isinstance(answer, Exception):
            raise answer
        return answer

    line = line_of(clock)
    place = await run(line, clock, progress=progress)
    assert await place.progress() is None
    assert not await is_wanted(line)


async def test_progress_that_never_comes_is_not_waited_for(clock, monkeypatch):
    monkeypatch.setattr("queue_agent.progress._ANSWER_S", 0.001)
    line = line_of(clock)
    place = await run(line, clock, progress=asyncio.Event().wait)
    async with asyncio.timeout(5):
        assert await place.progress() is None


def test_what_callers_write_does_not_fill_the_memory():
    forecast = JobForecast()
    for number in range(2000):
        forecast.learn(f"{number}" + "S" * 100_000, 1, float(number + 1))
    assert len(forecast._lines) == 256
    assert max(map(len, forecast._lines)) <= 32
    assert forecast.predict_s("0" + "S" * 100_000, 1) is None
    assert forecast.predict_s("1999" + "S" * 100_000, 1) == 2000


def test_a_kind_that_is_learned_again_is_kept_and_the_oldest_forgotten():
    forecast = JobForecast()
    for number in range(2000):
        forecast.learn("often", 1, 2.0)
        forecast.learn(f"once {number} \ud800", 1, 1.0)
    assert forecast.predict_s("often", 1) == pytest.approx(2.0)


HUGE = [10**160, 10**400, float("inf"), float("nan"), -5, 0, "20", "nan", "x", None, [], True]


@pytest.mark.parametrize("units", HUGE)
def test_units_of_any_size_can_be_learned_from(units):
    forecast = JobForecast()
    work = Work("k", units)
    assert 1 <= work.units <= 1e6
    for other in (1, work.units, 7, work.units):
        forecast.learn("k", other, 2.0)
        assert math.isfinite(forecast.predict_s("k", work.units))


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
