from planning.simulation import Autoscaling, ByWork, Load, Setup, simulate
from scaler.demand import Reading
from scaler.policy import Limits


def test_a_runtime_with_a_scaler_starts_at_once_and_ends_all_jobs():
    scaling = Autoscaling(policy=lambda: ByWork(Limits(), job_s=10))
    outcome = simulate(Load.burst(50, 5), Setup(scaling=scaling))
    assert outcome.unfinished == 0
    assert next(moment.at_s for moment in outcome.samples if moment.wanted) <= 5


def test_each_running_job_keeps_a_pod_whatever_the_scaler_wants():
    reading = Reading(at_s=0, visible=0, in_flight=7, ready=5, devices=5, job_s=1)
    assert ByWork(Limits(max_pods=3), job_s=1)(reading, pods=5) == 5
