"""A watch with its clock and its model server in memory."""

import asyncio

from queue_agent.errors import ServerError
from queue_agent.server_monitor import State

STALL_S = 60


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Server:
    """What a probe meets: answers, unless there is a fault to raise or the answer is withheld."""

    def __init__(self):
        self.fault = None
        self.silent = False
        self.probes = 0

    async def probe(self):
        self.probes += 1
        if self.silent:
            await asyncio.sleep(60)
        if self.fault:
            raise self.fault


def refuse(server):
    server.fault = ServerError("The model server does not answer (ConnectError).")


def state_of(watch):
    """The state, after a check that the two events agree with it and with each other."""
    state = watch.verdict().state
    assert watch.lost.is_set() is (state in {State.LOST, State.HUNG})
    assert watch.usable.is_set() is not watch.lost.is_set()
    return state
