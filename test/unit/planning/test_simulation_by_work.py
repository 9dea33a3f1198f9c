from planning.simulation import Autoscaling, ByWork, Load, Pods, Provisioning, Setup, simulate
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


def test_a_pod_that_is_ready_is_seen_within_fifteen_seconds_sooner_or_later():
    def seen_after_s(seed):
        readings = []

        def policy():
            def pods(reading, pods):
                readings.append(reading)
                return float(reading.visible + reading.in_flight > 0)

            return pods

        # Whatever else depends on chance is fixed.
        nodes = Provisioning(launch_s=(2, 2), boot_s=(55, 55))
        scaling = Autoscaling(policy=policy, polling_s=1, first_look_s=1)
        setup = Setup(scaling=scaling, nodes=nodes, pods=Pods(boot_s=(50, 50)), seed=seed)
        outcome = simulate(Load.burst(1, 60), setup)
        return next(reading.at_s for reading in readings if reading.ready) - outcome.first_ready_s

    delays_s = [seen_after_s(seed) for seed in range(20)]
    assert min(delays_s) + 5 < max(delays_s) <= 17
