import asyncio
from unittest.mock import AsyncMock

from agentkit import until

from queue_agent.beacon import AgentBeacon
from queue_agent.errors import PlatformError
from queue_agent.ports import Capacity, Work
from queue_agent.scheduler.slots import Scheduler

LONG_S = 3600


class Rig:
    """A beacon of an agent without a table; ``said`` is what it has written."""

    def __init__(self, **options):
        self.now, self.ready, self.said, self.errors = 0.0, False, [], []
        self.scheduler = Scheduler(lambda: self.now)
        server = AsyncMock(capacity=Capacity(devices=2))
        self.beacon = AgentBeacon(self, server=server, scheduler=self.scheduler, is_ready=lambda: self.ready, **options)

    async def announce(self, **said):
        if self.errors:
            raise self.errors.pop(0)
        self.said.append(said)

    async def run(self, *units, seconds):
        """Have the server run jobs together."""
        slots = [self.scheduler.join() for _ in units]
        for slot, one in zip(slots, units, strict=True):
            slot.prepared(Work("kind", one), None)
            await slot.take_turn()
            slot.started(7)
        self.now += seconds
        for slot in slots:
            slot.freed()
            slot.succeeded()
            slot.leave()


async def test_an_agent_says_at_its_start_and_end_and_when_that_changes_whether_it_takes_jobs(monkeypatch):
    monkeypatch.setattr("queue_agent.beacon._LOOKS", 1000 * LONG_S)
    rig = Rig(interval_s=LONG_S)
    async with rig.beacon:
        await until(lambda: rig.said)
        rig.ready = True
        await until(lambda: len(rig.said) > 1)
    assert [said["ready"] for said in rig.said] == [False, True, False]


async def test_an_agent_says_at_once_what_its_first_job_took(monkeypatch):
    monkeypatch.setattr("queue_agent.beacon._LOOKS", 1000 * LONG_S)
    rig = Rig(interval_s=LONG_S)
    rig.scheduler.open(Capacity(devices=1))
    async with rig.beacon:
        await until(lambda: rig.said)
        await rig.run(1, seconds=150)
        await until(lambda: len(rig.said) > 1)
        assert rig.said[-1]["seconds"] == 150


async def test_an_agent_says_again_and_again_that_it_takes_jobs_so_that_it_is_known_to_live():
    rig = Rig(interval_s=0.01)
    rig.ready = True
    async with rig.beacon:
        await until(lambda: len(rig.said) > 3)


async def test_it_says_how_long_a_job_keeps_a_device_and_how_many_jobs_it_has():
    rig = Rig(interval_s=LONG_S)
    rig.scheduler.open(Capacity(devices=2, batch=4))
    async with rig.beacon:
        await until(lambda: rig.said)
        assert rig.said == [{"ready": False, "devices": 2, "running": 0, "seconds": None}]
        await rig.run(1, 1, 1, seconds=6)  # a batch of three: 2 s for each
        await rig.run(1, seconds=4)
        rig.scheduler.join()
    assert rig.said[-1] == {"ready": False, "devices": 2, "running": 1, "seconds": 2.5}


async def test_a_failure_ends_neither_the_beacon_nor_the_agent_and_is_logged_once(caplog):
    rig = Rig(interval_s=0.01)
    rig.errors = [PlatformError("denied"), TimeoutError(), PlatformError("denied")]
    async with rig.beacon:
        await until(lambda: rig.said)
        assert len(caplog.records) == 1
        rig.errors = [KeyError("capacity")]
    assert len(caplog.records) == 2


async def test_a_table_that_hangs_does_not_keep_an_agent_from_ending(monkeypatch):
    monkeypatch.setattr("queue_agent.beacon._CLOSE_S", 0.01)
    rig = Rig(interval_s=LONG_S)
    hangs = asyncio.Event()

    async def announce(**said):
        await hangs.wait()

    rig.announce = announce
    async with rig.beacon:
        await asyncio.sleep(0)
