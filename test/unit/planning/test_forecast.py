"""What the simulation takes from config.yaml."""

import statistics

import pytest

from planning.forecast import Givens, PeriodLoad, PlanError, forecast, setup_of
from planning.simulation import Load, simulate
from planning.stages import first_picture
from test.unit.configuration.configs import parsed

SCALING = "modelsRuntime[0].extraValues.runtime.scaling"
PROVISIONER = "modelsRuntime[0].extraValues.karpenter.provisioner"
LOOKS = 25


def first_wait_s(config):
    """How long a job waits that comes after a rest, on average."""
    starts = (setup_of(config, "sdruntime", Givens(seed=seed)) for seed in range(LOOKS))
    return statistics.mean(simulate(Load([200.0], [1.5]), start).waits[0] for start in starts)


@pytest.mark.parametrize("profile", ["lean", "resilient"])
def test_a_job_after_a_rest_waits_as_long_as_the_stages_of_a_start_say(profile):
    config = parsed(("profile", profile))
    stages = first_picture(config, config.models_runtime[0]).ends()
    assert first_wait_s(config) == pytest.approx(stages["agent"] - stages["request"], rel=0.1)


def test_a_node_that_is_kept_saves_its_own_start_and_a_pod_all_of_it():
    rested, warm, ready = (
        first_wait_s(parsed((f"{SCALING}.{key}", value)))
        for key, value in (("minReplicaCount", 0), ("warm.nodes", 1), ("minReplicaCount", 1))
    )
    assert rested > warm + 30
    assert warm > ready
    assert ready == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ([], {"nodes.consolidate_after_s": 10, "spot.interruptions_per_hour": 0.2, "scaling.max_pods": 20}),
        ([(f"{PROVISIONER}.disruption.consolidateAfter", "1h2m5s")], {"nodes.consolidate_after_s": 3725}),
        ([(f"{PROVISIONER}.consolidation", False)], {"nodes.consolidate_after_s": 86400}),
        ([(f"{PROVISIONER}.capacityType.spot", False)], {"spot.interruptions_per_hour": 0}),
        ([(f"{SCALING}.pollingInterval", 9)], {"scaling.polling_s": 9}),
        ([(f"{SCALING}.enabled", False)], {"scaling.min_pods": 1, "scaling.max_pods": 1}),
        ([(f"{SCALING}.cooldownPeriod", 300)], {"scaling.cooldown_s": 300}),
    ],
)
def test_the_simulation_has_the_settings_of_the_file(changes, found):
    setup = setup_of(parsed(*changes), "sdruntime", Givens(spot_per_hour=0.2))
    for path, value in found.items():
        part, _, name = path.partition(".")
        assert getattr(getattr(setup, part), name) == value


def test_the_target_wait_and_the_first_guess_of_a_jobs_seconds_reach_what_decides():
    policy = setup_of(
        parsed((f"{SCALING}.targetWaitSeconds", 7), (f"{SCALING}.secondsPerJob", 44)), "sdruntime", Givens()
    )
    assert (policy.scaling.policy.limits.target_wait_s, policy.scaling.policy.seconds_per_job) == (7, 44)


def test_a_load_whose_jobs_spot_never_lets_end_cannot_be_planned():
    load = PeriodLoad("sdruntime", Load([0.0], [72_000.0]), 86_400.0, "a job of 20 hours")
    with pytest.raises(PlanError, match=r"sdruntime: 0 jobs wait and 1 run, .* Does Spot take every node"):
        forecast(parsed(), load, Givens(spot_per_hour=1.0))


def test_a_burst_is_divided_by_the_gpus_that_a_pod_has():
    gpus = ("modelsRuntime[0].extraValues.runtime.inferenceApi.resources", {"limits": {"nvidia.com/gpu": 8}})
    found = simulate(Load.burst(200, 5), setup_of(parsed(gpus), "sdruntime", Givens()))
    assert found.node_starts <= 2
