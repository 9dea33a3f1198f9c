"""What a tracker makes of readings: it knows of arrivals, work and pods only what queue and beacons show."""

import random

import pytest

from scaler.demand import Reading, Tracker
from scaler.policy import Limits, wanted_pods

EVERY_S = 2


class Runtime:
    """Readings of one runtime, as they would follow each other."""

    def __init__(self, *, job_s=5, limits=None):
        self.tracker = Tracker(limits or Limits(), job_s=job_s)
        self.now_s = 1000.0
        self.decision = None

    def read(self, visible=0, in_flight=0, *, ready=0, devices=None, job_s=None, after_s=EVERY_S):
        self.now_s += after_s
        reading = Reading(
            at_s=self.now_s,
            visible=visible,
            in_flight=in_flight,
            ready=ready,
            devices=ready if devices is None else devices,
            job_s=job_s,
        )
        self.decision = self.tracker.decide(reading)
        return self.decision

    def during(self, seconds, **reading):
        """Read for a while; a value may be a function of the seconds that have passed."""
        for passed_s in range(0, seconds, EVERY_S):
            self.read(**{name: value(passed_s) if callable(value) else value for name, value in reading.items()})
        return self.decision

    @property
    def demand(self):
        return self.decision.demand


def test_a_runtime_at_zero_gets_a_pod_with_its_first_job_and_none_before():
    runtime = Runtime()
    assert runtime.during(60).pods == 0
    assert runtime.read(visible=1).pods == 1


def test_a_decision_is_what_the_policy_makes_of_its_demand():
    runtime = Runtime(limits=Limits(max_pods=12))
    runtime.during(60, visible=lambda passed_s: passed_s)
    assert runtime.decision.pods == wanted_pods(runtime.demand, Limits(max_pods=12))


def test_a_burst_calls_for_its_pods_at_once_and_not_for_more_while_they_boot():
    runtime = Runtime()
    runtime.during(20)
    assert {runtime.read(visible=200).pods for _ in range(60)} == {9}
    assert runtime.demand.booting == 9


def test_what_keeps_coming_is_measured_while_pods_boot_and_while_they_work():
    runtime = Runtime()
    runtime.during(90, visible=lambda passed_s: passed_s)
    booting = runtime.demand
    assert sum(booting.flow.arrivals_s) / len(booting.flow.arrivals_s) == pytest.approx(75, rel=0.1)
    runtime.during(150, visible=lambda passed_s: 90 + passed_s // 5, in_flight=8, ready=8, job_s=5)
    working = runtime.demand
    assert working.flow.served_s[-1] == pytest.approx(8 * 15, rel=0.1)
    assert working.flow.arrivals_s[-1] == pytest.approx(9 * 15, rel=0.1)


def test_jobs_that_come_in_the_place_of_others_are_noticed_where_the_queue_moves_at_all():
    runtime = Runtime(job_s=20)
    runtime.during(240, in_flight=lambda passed_s: 4 + passed_s // 2 % 2, ready=4, job_s=20)
    assert sum(runtime.demand.flow.arrivals_s[-7:]) / 7 == pytest.approx(4 * 15, rel=0.2)


def test_a_burst_that_is_worked_off_is_no_new_load():
    runtime = Runtime()
    runtime.during(100, visible=200)
    runtime.during(100, visible=lambda passed_s: 184 - passed_s * 8 // 5, in_flight=16, ready=8, job_s=5)
    assert sum(runtime.demand.flow.arrivals_s[-6:]) == 0


def test_one_long_job_is_not_taken_for_a_row_of_short_ones():
    runtime = Runtime(job_s=60)
    runtime.during(100, visible=1)
    assert runtime.during(600, in_flight=1, ready=1, job_s=60).pods == 1
    assert sum(runtime.demand.flow.arrivals_s[-7:]) == 0


def test_long_jobs_among_short_ones_leave_no_load_behind():
    runtime = Runtime(job_s=4)
    runtime.during(100, visible=4)
    runtime.during(150, in_flight=2, ready=2, job_s=4, after_s=2.1)
    assert runtime.during(10, ready=1, job_s=4).pods == 0


def test_counts_that_waver_call_for_as_many_pods_as_the_true_ones():
    wavering, true = Runtime(job_s=150), Runtime(job_s=150)
    for _ in range(60):
        for by in (0, 2, -2, 1, -1, 3):
            wavering.read(visible=40 + by)
            true.read(visible=40)
    assert abs(wavering.decision.pods - true.decision.pods) <= 2


def test_agents_that_hold_two_messages_work_on_one_and_count_before_their_beacons_do():
    runtime = Runtime()
    runtime.during(100, visible=200)
    demand = runtime.read(visible=190, in_flight=10).demand
    assert (demand.running, demand.ready, demand.booting) == (5, 5, 4)
    assert demand.waiting_s == 195 * 5
    demand = runtime.read(visible=190, in_flight=10, ready=9, job_s=5).demand
    assert (demand.running, demand.ready, demand.booting) == (9, 9, 0)


def test_beacons_of_agents_that_are_gone_do_not_make_jobs_run():
    demand = Runtime().read(visible=3, in_flight=1, ready=6, job_s=5).demand
    assert (demand.running, demand.waiting_s) == (1, 15)


def test_a_pod_with_four_gpus_works_on_four_jobs():
    runtime = Runtime()
    demand = runtime.read(visible=40, in_flight=10, ready=2, devices=8, job_s=5).demand
    assert (demand.devices, demand.running, demand.waiting_s) == (4, 8, 42 * 5)
    assert runtime.read(visible=50).demand.devices == 4


def test_what_a_job_takes_is_known_from_the_first_that_has_ended():
    runtime = Runtime(job_s=50)
    assert runtime.read(visible=40).demand.waiting_s == 2000
    assert runtime.read(visible=40, ready=1, job_s=3).demand.waiting_s == 120
    assert runtime.read(visible=40).demand.waiting_s == 120


def test_jobs_that_have_not_ended_for_a_while_are_longer_than_they_were_taken_for():
    runtime = Runtime(job_s=5)
    runtime.during(100, visible=40)
    few = runtime.decision.pods
    assert runtime.during(20, visible=38, in_flight=2).demand.job_s == 5
    assert runtime.during(100, visible=38, in_flight=2).demand.job_s > 100
    assert runtime.decision.pods > 2 * few


def test_the_first_boot_that_is_seen_counts_for_half():
    runtime = Runtime()
    runtime.read()
    runtime.during(160, visible=1)
    assert runtime.read(in_flight=1).demand.boot_s == 100
    assert runtime.read(in_flight=1).demand.boot_s == pytest.approx(130, abs=2)


def test_pods_that_never_come_are_not_ordered_without_end():
    runtime = Runtime(limits=Limits(max_pods=100))
    ordered = runtime.during(150, visible=lambda passed_s: passed_s).pods
    assert runtime.during(450, visible=lambda passed_s: 150 + passed_s).pods <= ordered + 8


def test_what_boots_at_a_restart_tells_nothing_of_boots():
    runtime = Runtime()
    runtime.during(10, visible=1)
    runtime.read(in_flight=1)
    assert runtime.read(in_flight=1).demand.boot_s == 100


def test_a_count_that_is_too_low_for_a_moment_takes_no_pod():
    runtime = Runtime()
    runtime.during(60, visible=0, in_flight=8, ready=8, job_s=5)
    assert runtime.read(in_flight=5, ready=8, job_s=5).pods == 8
    assert runtime.during(60, in_flight=5, ready=8, job_s=5).demand.running == 5


def test_after_a_restart_pods_that_work_stay_and_what_waits_counts_as_a_burst():
    decision = Runtime().read(visible=60, in_flight=7, ready=7, job_s=5)
    assert decision.pods == 7
    assert decision.demand.flow.arrivals_s == []


def test_readings_with_a_long_gap_between_are_those_of_a_restart():
    runtime = Runtime()
    runtime.during(120, visible=lambda passed_s: passed_s)
    assert runtime.read(visible=130, after_s=600).demand.flow.arrivals_s == []


def test_readings_that_come_seldom_tell_the_same_rate():
    runtime = Runtime()
    for jobs in range(0, 180, 30):
        runtime.read(visible=jobs, after_s=30)
    assert set(runtime.demand.flow.arrivals_s) == {75.0}


def test_an_interval_is_as_long_as_its_readings_say():
    runtime = Runtime()
    runtime.during(64, visible=lambda passed_s: passed_s)
    flow = runtime.demand.flow
    assert set(flow.lengths_s) == {16}
    assert set(flow.arrivals_s) == {16 * 5}


@pytest.mark.parametrize("job_s", [5, 40, 300])
def test_what_was_more_than_ten_minutes_ago_counts_no_more(job_s):
    def flow_since(begin_s):
        runtime = Runtime()
        for at_s in range(begin_s, 1601, EVERY_S):
            visible = random.Random(at_s // 8).randrange(6)
            runtime.read(visible=visible, in_flight=4, ready=4, job_s=job_s)
        return runtime.demand.flow

    # An interval ends with the first reading after 15 s.
    ten_minutes_s = 40 * 16
    assert flow_since(0).arrivals_s == flow_since(1600 - ten_minutes_s).arrivals_s
