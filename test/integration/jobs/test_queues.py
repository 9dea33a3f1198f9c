"""Where jobs wait, and how busy a runtime is, asked of the jobs table."""

import uuid

import pytest

from api.operations import queues as module
from api.operations.queues import QueueEstimates
from contract.queues import Priority
from jobs import beacon, commands
from jobs.beacon import FRESH_S, REMEMBERED_S, Beacon
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from test.kit.jobs import JobsTable


@pytest.fixture
def jobs(aws):
    return JobsTable(aws.dynamodb, uuid.uuid4().hex[:8])


@pytest.fixture
def queues(jobs):
    return QueueEstimates(jobs.store, RuntimeCatalog([]), clock=lambda: jobs.now_s)


def announce(jobs, owner="pod-0", runtime=None, **changes):
    said = {"ready": True, "devices": 1, "running": 1, "seconds": 8.0, "seen_s": jobs.now_s, **changes}
    jobs.store.run(beacon.announce(runtime or jobs.name, Beacon(owner=owner, **said)))


def test_a_job_has_a_place_while_it_waits(jobs, queues):
    tasks = [jobs.queued() for _ in range(3)]
    announce(jobs)
    places = [queues.place(jobs.record(task)) for task in tasks]
    assert [(place.position, place.eta_s) for place in places] == [(0, 0.5 * 8), (1, 1.5 * 8), (2, 2.5 * 8)]
    jobs.claim(tasks[0])
    assert queues.place(jobs.record(tasks[0])) is None
    assert queues.place(jobs.record(tasks[2])).position == 1


def test_jobs_are_counted_up_to_a_bound(jobs, queues, monkeypatch):
    monkeypatch.setattr(module, "MAX_POSITION", 4)
    announce(jobs)
    tasks = [jobs.queued() for _ in range(6)]
    places = [queues.place(jobs.record(task)) for task in tasks]
    assert [place.position for place in places] == [0, 1, 2, 3, 4, None]
    assert places[-1].eta_s is None
    load = queues.load(jobs.name)
    assert (load.queued, load.eta_s) == (None, None)


def test_a_runtimes_load_is_that_of_its_own_live_agents(jobs, queues):
    load = queues.load(jobs.name)
    assert (load.queued, load.running, load.ready_servers, load.seconds_a_job, load.eta_s) == (0, 0, 0, None, None)
    jobs.now_s += 10  # what was read is kept for 5 s
    announce(jobs, running=2)
    announce(jobs, "pod-1", devices=3, running=3, seconds=8.0)
    announce(jobs, "loading", ready=False, seconds=None)
    announce(jobs, "gone", seen_s=jobs.now_s - FRESH_S - 1)
    announce(jobs, "theirs", runtime="0", seconds=1.0)
    load = queues.load(jobs.name)
    assert (load.queued, load.running, load.ready_servers, load.seconds_a_job, load.eta_s) == (0, 5, 2, 8.0, 1.0)


def test_no_runtimes_agents_count_as_another_ones_jobs(jobs, queues):
    announce(jobs, "0", runtime="0")
    assert queues.load("agents").queued == 0


def test_a_beacon_replaces_the_one_before_it_and_expires(jobs, queues, aws):
    announce(jobs, running=1)
    announce(jobs, running=0)
    assert queues.load(jobs.name).running == 0
    (item,) = aws.dynamodb.scan(TableName=jobs.store.table)["Items"]
    assert float(item["expires_at"]["N"]) == pytest.approx(jobs.now_s + REMEMBERED_S, abs=1)


def test_jobs_of_a_higher_priority_are_before_a_job_and_those_of_a_lower_one_are_not(jobs):
    runtime = DeployedRuntime(name=jobs.name, type="sdwebui", has_priorities=True)
    queues = QueueEstimates(jobs.store, RuntimeCatalog([runtime]), clock=lambda: jobs.now_s)
    announce(jobs)
    tasks = [jobs.queued(priority=priority) for priority in ("low", "normal", "high", "low", "normal", "high")]
    places = [queues.place(jobs.record(task)) for task in tasks]
    assert [place.position for place in places] == [4, 2, 0, 5, 3, 1]
    assert [place.eta_s for place in places] == [(position + 0.5) * 8 for position in (4, 2, 0, 5, 3, 1)]
    load = queues.load(jobs.name)
    assert (load.queued, load.eta_s) == (6, 4.5 * 8)  # another normal one comes before both low ones
    jobs.claim(tasks[2])
    release = {"runtime": jobs.name, "attempts": 1, "is_blameless": True, "start_by_s": jobs.now_s}
    jobs.update(commands.release(tasks[2].metadata.job, "token", priority=Priority.HIGH, **release))
    assert queues.place(jobs.record(tasks[4])).position == 3  # it is back in its own queue
