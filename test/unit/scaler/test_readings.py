"""What readings of a runtime make of the machine's clocks."""

import asyncio
import time

from scaler.readings import BEACONS_KEPT_S, RuntimeReadings


class Reports:
    """A jobs table without reports, which counts how often it is read."""

    def __init__(self):
        self.read = 0

    async def run(self, command):
        self.read += 1
        return command.read({"Items": []})


def test_reports_are_read_again_in_time_after_the_machines_clock_was_set_back(monkeypatch):
    reports, passed_s, clock_s = Reports(), time.monotonic(), time.time()
    readings = RuntimeReadings(None, reports, runtime="drawings", queue_urls=[])
    monkeypatch.setattr("scaler.readings.time.monotonic", lambda: passed_s)
    monkeypatch.setattr("scaler.readings.time.time", lambda: clock_s)

    async def three():
        nonlocal passed_s, clock_s
        await readings.read()
        clock_s -= 3600
        await readings.read()
        assert reports.read == 1
        passed_s += BEACONS_KEPT_S
        await readings.read()
        assert reports.read == 2

    asyncio.run(three())
