"""When a job will start, by the beacons of its runtime's agents: checked against simulated queues and servers."""

import heapq
import random
from dataclasses import dataclass, field
from statistics import median

import pytest

from jobs.beacon import FRESH_S, KEPT_S, Beacon, Servers
from queue_agent.scheduler.forecast import JobForecast

NOW_S = 1e9


def beacon(**changes):
    said = {"owner": "pod", "ready": True, "devices": 1, "running": 1, "seconds": 10.0, "seen_s": NOW_S}
    return Beacon(**{**said, **changes})


def test_agents_that_load_are_gone_or_have_stopped_take_no_jobs_but_tell_how_long_one_takes():
    gone = beacon(seen_s=NOW_S - FRESH_S - 1, seconds=20.0)
    stopped = beacon(ready=False, seconds=20.0)
    forgotten = beacon(seen_s=NOW_S - KEPT_S - 1, seconds=500.0)
    servers = Servers.of([gone, stopped, forgotten], NOW_S)
    assert (servers.ready, servers.devices, servers.seconds, servers.eta_s(0)) == (0, 0, 20.0, None)
    with_new = Servers.of([gone, stopped, forgotten, beacon(running=1, seconds=None)], NOW_S)
    assert (with_new.ready, with_new.seconds, with_new.eta_s(0)) == (1, 20.0, 10.0)


def test_a_job_that_waits_although_an_agent_was_idle_shows_that_it_is_not():
    servers = Servers.of([beacon(running=0)], NOW_S)
    assert (servers.eta_s(0, waited_s=0.5), servers.eta_s(0, waited_s=30), servers.eta_s(2)) == (0.0, 5.0, 25.0)


@pytest.mark.parametrize(
    ("beacons", "before", "eta_s"),
    [
        ([], 0, None),
        ([beacon(running=0, seconds=None)], 0, 0.0),  # idle: at once, however long a job takes
        ([beacon(running=1, seconds=None)], 0, None),
        ([beacon(running=1)], 0, 5.0),
        ([beacon(running=1)], 3, 35.0),
        ([beacon(devices=4, running=4)], 4, 11.25),
        ([beacon(devices=4, running=3)], 0, 0.0),
        ([beacon(seconds=0.0)], 1000, 1.0005),
        ([beacon(seconds=5.0), beacon(seconds=20.0)], 3, 14.0),  # together a job each 4 s
    ],
)
def test_a_job_starts_when_those_before_it_have_had_their_turns(beacons, before, eta_s):
    assert Servers.of(beacons, NOW_S).eta_s(before) == (eta_s if eta_s is None else pytest.approx(eta_s))


@dataclass
class Agent:
    """A simulated agent, with a batch on each device."""

    devices: int
    batch: int
    seconds_a_batch: object
    forecast: JobForecast = field(default_factory=JobForecast)
    running: int = 0

    def beacon(self, owner, now_s):
        said = {"devices": self.devices, "running": self.running, "seconds": self.forecast.seconds_a_job}
        return Beacon(owner=owner, ready=True, seen_s=now_s, **said)


def simulate(agents, arrivals_s, *, asked_every_s=7.0):
    """Run jobs through a queue, first come, first served; what was estimated for each, again and again, and what came.

    Agents claim 0.5 s before a device is free, and write their beacons each minute. Time is virtual.
    """
    events, order, waiting, beacons, asked, came = [], iter(range(10**9)), [], {}, [], {}

    def at(when_s, what, *details):
        heapq.heappush(events, (when_s, next(order), what, details))

    for number, arrival_s in enumerate(arrivals_s):
        at(arrival_s, "arrive", number)
    for owner, agent in enumerate(agents):
        at(owner * 61 / len(agents), "beacon", owner)
        for _ in range(agent.devices):
            at(0, "take", owner, 0.0)
    idle = []
    while len(came) < len(arrivals_s):
        now_s, _, what, details = heapq.heappop(events)
        if what == "arrive":
            waiting.append(details[0])
            at(now_s, "ask", details[0])
            if idle:
                at(now_s, "take", idle.pop(0), now_s)
        elif what == "ask" and details[0] in waiting:
            servers = Servers.of(beacons.values(), now_s)
            asked.append((details[0], now_s, servers.eta_s(waiting.index(details[0]), now_s - arrivals_s[details[0]])))
            at(now_s + asked_every_s, "ask", details[0])
        elif what == "beacon":
            beacons[details[0]] = agents[details[0]].beacon(str(details[0]), now_s)
            at(now_s + 60, "beacon", details[0])
        elif what == "take":
            owner, free_s = details
            agent = agents[owner]
            taken, waiting = waiting[: agent.batch], waiting[agent.batch :]
            if not taken:
                idle.append(owner)
                continue
            agent.running += len(taken)
            start_s = max(now_s, free_s)
            came |= dict.fromkeys(taken, start_s)
            seconds = agent.seconds_a_batch(len(taken))
            at(start_s + seconds, "end", owner, seconds, len(taken))
            at(max(now_s, start_s + seconds - 0.5), "take", owner, start_s + seconds)
        elif what == "end":
            owner, seconds, jobs = details
            agents[owner].running -= jobs
            agents[owner].forecast.learn("kind", 1, seconds, jobs)
    return [(eta_s, came[job] - now_s) for job, now_s, eta_s in asked]


def steady(chance, mean_s, spread):
    """How long a batch takes: 30 % of a job's time, and 70 % more for each job in it."""
    return lambda jobs: mean_s * (0.3 + 0.7 * jobs) * chance.lognormvariate(-(spread**2) / 2, spread)


@pytest.mark.parametrize(
    ("pods", "devices", "batch", "mean_s", "spread"),
    [
        (1, 1, 1, 4, 0.1),
        (1, 1, 1, 4, 0.6),
        (3, 1, 1, 12, 0.5),
        (20, 1, 1, 5, 0.5),
        (2, 4, 1, 8, 0.3),
        (1, 1, 4, 6, 0.2),
        (4, 2, 4, 3, 0.5),
        (2, 1, 1, 240, 0.3),
    ],
)
def test_half_of_all_estimates_are_within_thirty_percent(pods, devices, batch, mean_s, spread):
    """Jobs come one by one, at seven tenths of what the servers can do, and in bursts that last for a while."""
    chance = random.Random(f"{pods} {devices} {batch}")
    pace_s = mean_s / pods / devices / (batch / (0.3 + 0.7 * batch))
    arrivals_s, now_s = [], 0.0
    for _ in range(40):
        for _ in range(25):
            now_s += chance.expovariate(0.7 / pace_s)
            arrivals_s.append(now_s)
        burst = chance.randrange(20 + 10 * pods * devices * batch)
        arrivals_s += [now_s] * burst
        now_s += (burst + 5) * pace_s
    agents = [Agent(devices, batch, steady(chance, mean_s, spread)) for _ in range(pods)]
    estimates = simulate(agents, arrivals_s, asked_every_s=5 * pace_s)[200:]
    known = [(eta_s, real_s) for eta_s, real_s in estimates if eta_s is not None]
    assert len(known) > 0.95 * len(estimates)
    waited = [(eta_s, real_s) for eta_s, real_s in known if real_s > 0]
    errors = [abs(eta_s - real_s) / real_s for eta_s, real_s in waited]
    assert median(errors) < 0.3
    assert 0.85 < median(eta_s / real_s for eta_s, real_s in waited) < 1.15
