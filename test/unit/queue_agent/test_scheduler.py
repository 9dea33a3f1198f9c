import asyncio
import math
import tracemalloc
from unittest.mock import AsyncMock

import pytest

from configuration.chart_values import Scaling
from jobs.job import Progress
from queue_agent.errors import ServerError
from queue_agent.ports import Capacity, Work, progress_of
from queue_agent.scheduler.forecast import JobForecast, LeadTime
from queue_agent.scheduler.slots import MAX_HELD, Scheduler, SlotState


async def nobody_knows():
    return None


class Rig:
    """A scheduler whose seconds pass only when a test says so."""

    def __init__(self, **capacity):
        self.now = 0.0
        self.scheduler = Scheduler(lambda: self.now)
        self.scheduler.open(Capacity(**capacity))

    async def run(self, *, seconds=None, units=1, batch=None, progress=nobody_knows, **work):
        """Bring a message to the GPU; with ``seconds``, through it too."""
        slot = self.scheduler.join()
        slot.prepared(Work("k", units, **work), progress)
        await slot.take_turn()
        slot.started(batch)
        if seconds is not None:
            self.end(seconds, slot)
        return slot

    def end(self, seconds, *slots):
        """Let jobs end with a result after some seconds."""
        self.now += seconds
        for slot in slots:
            slot.freed()
            slot.succeeded()
            slot.leave()

    async def is_wanted(self):
        """Whether the next message is wanted at this very moment."""
        try:
            await asyncio.wait_for(self.scheduler.until_next_is_wanted(), 0.02)
        except TimeoutError:
            return False
        return True

    async def check_is_wanted_in(self, seconds):
        """Check that the next message is wanted so long from now, less the lead, and not before."""
        self.now += seconds - self.scheduler.lead.seconds - 0.1
        assert not await self.is_wanted()
        self.now += 0.2
        assert await self.is_wanted()


async def test_a_slow_preparation_does_not_leave_the_gpu_idle_while_others_wait_in_the_queue():
    rig = Rig()
    for _ in range(MAX_HELD):
        assert await rig.is_wanted()
        rig.scheduler.join()
        assert not await rig.is_wanted()
        rig.now += 2.9
        assert not await rig.is_wanted()
        rig.now += 0.2
    assert not await rig.is_wanted()  # as many as may be held


async def test_beside_a_slow_preparation_the_next_message_goes_first_when_it_is_ready_first():
    rig = Rig()
    slow = rig.scheduler.join()
    rig.now += 4
    quick = await rig.run()
    assert quick.state is SlotState.RUNNING
    assert not await rig.is_wanted()  # as long as nothing is known of its end
    slow.prepared(Work("k", 1), nobody_knows)
    quick.freed()
    await slow.take_turn()
    assert not await rig.is_wanted()


async def test_a_message_is_wanted_when_the_running_job_is_about_to_end_and_not_before():
    rig = Rig()
    await rig.run(seconds=10)
    await rig.run()
    await rig.check_is_wanted_in(10)


async def test_a_job_that_is_slower_than_forecast_is_asked_how_far_it_is():
    rig, progress = Rig(), AsyncMock(return_value=Progress(fraction=0.25))
    await rig.run(seconds=10)
    slot = await rig.run(progress=progress)
    rig.now += 10
    assert not await rig.is_wanted()
    progress.assert_awaited_once()
    assert slot.remaining_s == pytest.approx(30)


async def test_a_job_of_an_unknown_kind_is_soon_asked_how_far_it_is():
    rig, progress = Rig(), AsyncMock(side_effect=[None, Progress(fraction=0.5)])
    await rig.run(progress=progress)
    wanted = asyncio.create_task(rig.scheduler.until_next_is_wanted())
    await asyncio.sleep(0.02)
    rig.now += 0.1
    await asyncio.wait_for(wanted, 60)
    assert progress.await_count == 2


@pytest.mark.parametrize(
    ("capacity", "places"),
    [({"ahead": True}, 2), ({"ahead": True, "batch": 4}, 8), ({"ahead": True, "devices": 2}, 3), ({"devices": 2}, 2)],
)
async def test_a_server_is_given_what_it_runs_and_what_it_takes_ahead(capacity, places):
    rig = Rig(**capacity)
    slots = [rig.scheduler.join() for _ in range(places)]
    for slot in slots:
        await asyncio.wait_for(slot.take_turn(), 60)
    waiting = [asyncio.create_task(rig.scheduler.join().take_turn()) for _ in range(2)]
    await asyncio.sleep(0)
    assert [one.done() for one in waiting] == [False, False]
    slots[0].started()
    slots[0].freed()
    slots[0].end_turn()  # a turn ends once
    await asyncio.sleep(0)
    assert [one.done() for one in waiting] == [True, False]
    waiting[1].cancel()


async def test_a_server_that_can_have_more_jobs_than_are_held_at_most_gets_them_all_the_same():
    rig = Rig(devices=MAX_HELD + 1)
    for _ in range(MAX_HELD):
        await rig.run()
    assert await rig.is_wanted()
    await rig.run()
    assert not await rig.is_wanted()


async def test_of_two_busy_gpus_the_one_that_ends_first_says_when_a_message_is_wanted():
    rig = Rig(devices=2)
    await rig.run(seconds=100)
    await rig.run()
    rig.now += 50
    await rig.run()
    await rig.check_is_wanted_in(50)


async def test_a_message_is_wanted_before_the_server_decides_what_it_runs_next():
    rig = Rig(batch=2, ahead=True)
    await rig.run(seconds=10, together=2, last_call=0.25)
    await rig.run(together=2, last_call=0.25)
    await rig.check_is_wanted_in(7.5)


async def test_the_forecast_of_a_batch_counts_what_all_of_it_has_to_do():
    rig = Rig(batch=4, ahead=True)
    for together, seconds in ((1, 2), (4, 5)):  # a second for the batch, and one for each job
        rig.end(seconds, *[await rig.run(batch=together) for _ in range(together)])
    slots = [await rig.run(batch=9) for _ in range(3)]
    assert [slot.remaining_s for slot in slots] == pytest.approx([4, 4, 4])


async def test_a_job_without_a_result_teaches_nothing():
    rig = Rig()
    await rig.run(seconds=10)
    slot = await rig.run()
    rig.now += 0.02
    slot.freed()
    slot.leave()
    assert (await rig.run()).remaining_s == pytest.approx(10)


@pytest.mark.parametrize("answer", [ServerError("500"), KeyError("progress"), None])
async def test_progress_that_nobody_can_tell_harms_nobody(answer):
    rig = Rig()
    slot = await rig.run(progress=AsyncMock(side_effect=[answer] * 2))
    assert await slot.progress() is None
    assert not await rig.is_wanted()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        *[({"fraction": fraction}, {}) for fraction in (math.nan, -1, 2, "half", None)],
        *[({"step": step, "steps": steps}, {}) for step, steps in ((3, 2), (-1, 2), (0, 0), (1, None), (0, 10**40))],
        ({"fraction": 1, "step": "1", "steps": 2}, {"fraction": 1}),
        ({"fraction": 3, "step": 1, "steps": 2}, {"step": 1, "steps": 2}),
    ],
)
def test_of_what_a_server_says_of_progress_only_sense_is_kept(said, expected):
    assert progress_of(**said, stage="a") == Progress(**expected, stage="a")
    assert progress_of(**said) == (Progress(**expected) if expected else None)


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


@pytest.mark.parametrize("units", [10**160, 10**400, math.inf, math.nan, -5, 0, "20", "nan", "x", None, [], True])
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
