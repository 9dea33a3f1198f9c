import asyncio

import pytest
from agentkit import JOB, Agent, Table, picture

from contract.deadlines import DEFAULT_DEADLINES
from queue_agent.claiming import Claims
from queue_agent.errors import LeaseLost, PlatformError
from queue_agent.message import read_message


class SlowTable(Table):
    """A table that grants a claim after a while."""

    def __init__(self, delay_s):
        super().__init__()
        self.delay_s = delay_s

    async def claim(self, task, job, message, *, lease_s, start_s):
        await asyncio.sleep(self.delay_s)
        return await super().claim(task, job, message, lease_s=lease_s, start_s=start_s)


async def test_a_claim_granted_only_after_its_lease_would_have_ended_is_handed_back(message):
    table = SlowTable(0.1)
    with pytest.raises(PlatformError):
        await Claims(table).take(message, read_message(message), deadlines=DEFAULT_DEADLINES, lease_s=0.05)
    assert table.writes == [("claim",), ("hand back", 0, "blameless")]


async def test_a_claim_under_way_when_the_agent_is_stopped_keeps_nobody_waiting(message):
    agent = Agent(picture(), jobs=SlowTable(0.1))
    handling = asyncio.create_task(agent.handle(message))
    await asyncio.sleep(0.02)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert agent.jobs.writes == [("claim",), ("hand back", 0, "blameless")]
    assert agent.queue.log == [("release", 0)]


async def test_a_message_stays_hidden_while_the_notice_of_an_ended_job_is_slow(message):
    class Finished(Table):
        """Refuses to renew what it has seen end, as DynamoDB does."""

        async def renew(self, job, claim, **options):
            if any(name == "finish" for name, *_ in self.writes):
                raise LeaseLost
            return False

    agent = Agent(picture(), jobs=Finished())
    agent.queue.visibility_s = 0.3
    publish = agent.notices.publish

    async def slow(notice):
        await asyncio.sleep(0.35)
        await publish(notice)

    agent.notices.publish = slow
    await agent.handle(message)
    assert agent.queue.log == ["extend"] * 3 + ["delete"]
    assert [notice.job for notice in agent.notices.sent] == [JOB]
