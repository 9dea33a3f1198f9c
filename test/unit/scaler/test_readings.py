"""What readings of a runtime make of the machine's clocks, and of a table that cannot be read for a while."""

import time

import pytest
from botocore.exceptions import ClientError

from jobs.beacon import FRESH_S
from scaler.readings import BEACONS_KEPT_S, ReadingError, RuntimeReadings

THROTTLED = ClientError({"Error": {"Code": "ThrottlingException"}}, "Query")


class Reports:
    """A jobs table without reports, which counts how often it is asked for them."""

    def __init__(self):
        self.read = 0
        self.failure = None

    async def beacons(self, *_, **__):
        self.read += 1
        if self.failure is not None:
            raise self.failure
        return []


class Clock:
    """The two clocks of a machine."""

    def __init__(self, monkeypatch):
        self.passed_s, self.time_s = time.monotonic(), time.time()
        monkeypatch.setattr("scaler.readings.time.monotonic", lambda: self.passed_s)
        monkeypatch.setattr("scaler.readings.time.time", lambda: self.time_s)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def reports():
    return Reports()


@pytest.fixture
def readings(reports):
    return RuntimeReadings(None, reports, runtime="drawings", queue_urls=[])


async def test_reports_are_read_again_in_time_after_the_machines_clock_was_set_back(readings, reports, clock):
    await readings.read()
    clock.time_s -= 3600
    await readings.read()
    assert reports.read == 1
    clock.passed_s += BEACONS_KEPT_S
    await readings.read()
    assert reports.read == 2


@pytest.mark.parametrize("failure", [THROTTLED, TimeoutError()])
async def test_while_reports_cannot_be_read_the_last_ones_serve_until_agents_count_as_gone(
    readings, reports, clock, failure
):
    reports.failure = failure
    with pytest.raises(ReadingError, match="dynamodb:Query failed"):
        await readings.read()
    reports.failure = None
    await readings.read()
    reports.failure = failure
    clock.passed_s += BEACONS_KEPT_S + FRESH_S - 1
    await readings.read()
    assert reports.read == 3
    clock.passed_s += 1
    with pytest.raises(ReadingError, match="dynamodb:Query failed"):
        await readings.read()
