import asyncio
import math
import tracemalloc

import pytest

from configuration.chart_values import Scaling
from queue_agent.errors import ServerError
from queue_agent.ports import Capacity, Work
from queue_agent.scheduler.forecast import JobForecast, LeadTime
from queue_agent.scheduler.slots import MAX_HELD, Scheduler, SlotState


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


def scheduler_of(clock, **capacity):
    scheduler = Scheduler(clock)
    scheduler.open(Capacity(**capacity))
    return scheduler


async def run(scheduler, clock, *, seconds=None, units=1, batch=None, progress=None, **work):
    """Bring a message to the GPU; with ``seconds``, through it too."""
    slot = scheduler.join()
    slot.prepared(Work("k", units, **work), progress or Progress())
    await slot.take_turn()
    slot.started(batch)
    if seconds is not None:
        clock.now += seconds
        slot.freed()
        slot.succeeded()
        slot.leave()
    return slot


async def is_wanted(scheduler):
    """Whether the next message is wanted at this very moment."""
    try:
        await asyncio.wait_for(scheduler.until_next_is_wanted(), 0.02)
    except TimeoutError:
        return False
    return True


async def test_a_slow_preparation_does_not_leave_the_gpu_idle_while_others_wait_in_the_queue(clock):
    scheduler = scheduler_of(clock)
    for _ in range(MAX_HELD):
        assert await is_wanted(scheduler)
        scheduler.join()
        assert not await is_wanted(scheduler)
        clock.now += 2.9
        assert not await is_wanted(scheduler)
        clock.now += 0.2
    assert not await is_wanted(scheduler)  # as many as may be held


async def test_beside_a_slow_preparation_the_next_message_goes_first_when_it_is_ready_first(clock):
    scheduler = scheduler_of(clock)
    slow = scheduler.join()
    clock.now += 4
    quick = await run(scheduler, clock)
    assert quick.state is SlotState.RUNNING
    assert not await is_wanted(scheduler)  # as long as nothing is known of its end
    slow.prepared(Work("k", 1), Progress())
    quick.freed()
    await slow.take_turn()
    assert not await is_wanted(scheduler)


async def test_a_message_is_wanted_when_the_running_job_is_about_to_end_and_not_before(clock):
    scheduler = scheduler_of(clock)
    await run(scheduler, clock, seconds=10)
    await run(scheduler, clock)
    clock.now += 10 - scheduler.lead.seconds - 1
    assert not await is_wanted(scheduler)
    clock.now += 1
    assert await is_wanted(scheduler)


async def test_a_job_that_is_slower_than_forecast_is_asked_how_far_it_is(clock):
    progress = Progress(0.25)
    scheduler = scheduler_of(clock)
    await run(scheduler, clock, seconds=10)
    slot = await run(scheduler, clock, progress=progress)
    clock.now += 10
    assert not await is_wanted(scheduler)
    assert progress.asked == 1
    assert slot.remaining_s == pytest.approx(30)


async def test_a_job_of_an_unknown_kind_is_soon_asked_how_far_it_is(clock):
    progress = Progress(None, 0.5)
    scheduler = scheduler_of(clock)
    await run(scheduler, clock, progress=progress)
    wanted = asyncio.create_task(scheduler.until_next_is_wanted())
    await asyncio.sleep(0.02)
    clock.now += 0.1
    await asyncio.wait_for(wanted, 1)
    assert progress.asked == 2


@pytest.mark.parametrize(
    ("capacity", "places"),
    [({"ahead": True}, 2), ({"ahead": True, "batch": 4}, 8), ({"ahead": True, "devices": 2}, 3), ({"devices": 2}, 2)],
)
async def test_a_server_is_given_what_it_runs_and_what_it_takes_ahead(clock, capacity, places):
    scheduler = scheduler_of(clock, **capacity)
    slots = [scheduler.join() for _ in range(places)]
    for slot in slots:
        await asyncio.wait_for(slot.take_turn(), 60)
    waiting = [asyncio.create_task(scheduler.join().take_turn()) for _ in range(2)]
    await asyncio.sleep(0)
    assert [one.done() for one in waiting] == [False, False]
    slots[0].started()
    slots[0].freed()
    slots[0].end_turn()  # a turn ends once
    await asyncio.sleep(0)
    assert [one.done() for one in waiting] == [True, False]
    waiting[1].cancel()


async def test_a_server_that_can_have_more_jobs_than_are_held_at_most_gets_them_all_the_same(clock):
    scheduler = scheduler_of(clock, devices=MAX_HELD + 1)
    for _ in range(MAX_HELD):
        await run(scheduler, clock)
    assert await is_wanted(scheduler)
    await run(scheduler, clock)
    assert not await is_wanted(scheduler)


async def test_of_two_busy_gpus_the_one_that_ends_first_says_when_a_message_is_wanted(clock):
    scheduler = scheduler_of(clock, devices=2)
    await run(scheduler, clock, seconds=100)
    await run(scheduler, clock)
    clock.now += 50
    await run(scheduler, clock)
    clock.now += 50 - scheduler.lead.seconds - 0.1
    assert not await is_wanted(scheduler)
    clock.now += 0.2
    assert await is_wanted(scheduler)


async def test_a_message_is_wanted_before_the_server_decides_what_it_runs_next(clock):
    scheduler = scheduler_of(clock, batch=2, ahead=True)
    await run(scheduler, clock, seconds=10, together=2, last_call=0.25)
    await run(scheduler, clock, together=2, last_call=0.25)
    clock.now += 7.5 - scheduler.lead.seconds - 0.1
    assert not await is_wanted(scheduler)
    clock.now += 0.2
    assert await is_wanted(scheduler)


async def test_the_forecast_of_a_batch_counts_what_all_of_it_has_to_do(clock):
    scheduler = scheduler_of(clock, batch=4, ahead=True)
    for together, seconds in ((1, 2), (4, 5)):  # a second for the batch, and one for each job
        slots = [await run(scheduler, clock, batch=together) for _ in range(together)]
        clock.now += seconds
        for slot in slots:
            slot.freed()
            slot.succeeded()
            slot.leave()
    slots = [await run(scheduler, clock, batch=9) for _ in range(3)]
    assert [slot.remaining_s for slot in slots] == pytest.approx([4, 4, 4])


async def test_a_job_without_a_result_teaches_nothing(clock):
    scheduler = scheduler_of(clock)
    await run(scheduler, clock, seconds=10)
    slot = await run(scheduler, clock)
    clock.now += 0.02
    slot.freed()
    slot.leave()
    assert (await run(scheduler, clock)).remaining_s == pytest.approx(10)


@pytest.mark.parametrize("answer", [ServerError("500"), KeyError("progress"), float("nan"), -1, 2, "half", None])
async def test_progress_that_nobody_can_tell_harms_nobody(clock, answer):
    async def progress():
        if isinstance(answer, Exception):
            raise answer
        return answer

    scheduler = scheduler_of(clock)
    slot = await run(scheduler, clock, progress=progress)
    assert await slot.progress() is None
    assert not await is_wanted(scheduler)


def test_what_callers_write_does_not_fill_the_memory():
    forecast = JobForecast()
    tracemalloc.start()
    try:
        for number in range(1000):
            forecast.learn(f"{number}" + "S" * 100_000, 1, float(number + 1))
        assert tracemalloc.get_traced_memory()[0] < 2**20
    finally:
        tracemalloc.stop()
    known = [forecast.predict_s(f"{number}" + "S" * 100_000, 1) for number in range(1000)]
    assert known == [None] * 744 + [float(number + 1) for number in range(744, 1000)]


HUGE = [10**160, 10**400, float("inf"), float("nan"), -5, 0, "20", "nan", "x", None, [], True]


@pytest.mark.parametrize("units", HUGE)
def test_units_of_any_size_can_be_learned_from(units):
    forecast = JobForecast()
    work = Work("k", units)
    assert 1 <= work.units <= 1e6
    for other in (1, work.units, 7, work.units):
        forecast.learn("k", other, 2.0)
        assert math.isfinite(forecast.predict_s("k", work.units))


def test_the_forecast_separates_what_each_job_costs_from_what_each_step_costs():
    forecast = JobForecast()
    for steps in (3, 20, 10, 7):
        forecast.learn("k", steps, 0.1 + 0.05 * steps)
    assert forecast.predict_s("k", 50) == pytest.approx(2.6)


def test_the_lead_grows_with_slow_inputs_and_not_with_long_polls_and_stays_below_the_cooldown_of_a_pod():
    lead = LeadTime()
    lead.received(0.02)
    lead.received(19.0)
    assert lead.seconds < 0.5
    for _ in range(50):
        lead.received(2.0)
        lead.prepared(30.0)
    assert 2 + 30 < lead.seconds < Scaling().cooldown_period


def test_what_a_pod_holds_beside_the_task_that_it_runs_calls_for_no_second_pod():
    assert Scaling().queue_length >= MAX_HELD or not Scaling().scale_on_in_flight
