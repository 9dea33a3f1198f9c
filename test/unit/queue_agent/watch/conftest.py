import pytest
from watchkit import STALL_S, Clock, Server

from queue_agent.server_monitor import ServerMonitor


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def watch(server, clock):
    return ServerMonitor(server.probe, stall_s=STALL_S, url="http://127.0.0.1:7860", clock=clock)


@pytest.fixture
def looking(watch, clock):
    """Let time pass as the watch's task does: a probe every two seconds."""

    async def look_for(seconds):
        for _ in range(round(seconds / 2)):
            clock.now_s += 2
            await watch.look()

    return look_for
