"""From a request to the first picture: which stages wait for which, and what settings change."""

import pytest

from configuration.config import parse_config
from planning.stages import Seconds, Stage, Stages, first_picture

SNAPSHOT = {"karpenter": {"nodeTemplate": {"dataVolume": {"snapshotID": "snap-0123456789"}}}}


MOUNTED = {"runtime": {"persistence": {"mode": "mount"}}}


def config_of(values, **runtime):
    one = {"name": "one", "type": "sdwebui", "modelFilename": "v1-5.safetensors", "extraValues": values, **runtime}
    return parse_config(
        {
            "stackName": "sdoneks",
            "profile": "lean",
            "modelBucketArn": "arn:aws:s3:::models",
            "APIGW": {"stageName": "prod"},
            "modelsRuntime": [one],
        }
    )


def stages_of(values=None, capacity=None, **runtime):
    config = config_of(values or {}, **runtime)
    return first_picture(config, config.models_runtime[0], capacity)


def scaling(**values):
    return {"runtime": {"scaling": values}}


def stage(name, typical, *after):
    return Stage(name, Seconds(typical, typical, typical), after, "a test")


def test_stages_that_wait_for_nothing_of_each_other_run_side_by_side():
    stages = Stages((stage("a", 1), stage("b", 5, "a"), stage("c", 2, "a"), stage("d", 1, "b", "c")))
    assert stages.total() == 7
    assert [one.name for one in stages.path()] == ["a", "b", "d"]
    assert set(stages.sampled(3)) == {7}


@pytest.mark.parametrize(
    ("values", "most"),
    [
        pytest.param({}, 75, id="from nothing: as a first deployment is"),
        pytest.param(MOUNTED, 90, id="from nothing: models are mounted"),
        pytest.param(SNAPSHOT, 90, id="from nothing: images in a snapshot"),
        pytest.param(scaling(warm={"nodes": 1}), 35, id="a node is kept"),
        pytest.param(scaling(minReplicaCount=1), 7, id="a pod is kept"),
    ],
)
def test_a_picture_typically_comes_within(values, most):
    stages = stages_of(values)
    assert stages.total("good") < stages.total() <= most < stages.total("bad")


@pytest.mark.parametrize("values", [{}, SNAPSHOT, scaling(warm={"nodes": 1})])
def test_the_typical_start_is_in_the_middle_of_the_simulated_ones(values):
    stages, count = stages_of(values), 2000
    starts = stages.sampled(count, seed=1)
    assert starts == stages_of(values).sampled(count, seed=1)
    assert starts[count // 4] * 0.9 < stages.total() < starts[count * 3 // 4]
    assert stages.total("good") < starts[0]
    assert starts[-1] < stages.total("bad")


def test_a_pod_that_copies_its_models_waits_for_the_images_alone():
    stages = stages_of()
    names = [one.name for one in stages.path()]
    assert names == [
        *("request", "scaling", "order", "boot", "images", "libraries", "imports", "model", "agent", "picture"),
    ]
    assert {"storage", "mount"}.isdisjoint(one.name for one in stages.all)


def test_a_pod_that_mounts_them_waits_for_the_mount_while_libraries_are_read_and_the_model_during_imports():
    names = [one.name for one in stages_of(MOUNTED).path()]
    assert names[:4] == ["request", "scaling", "order", "boot"]
    assert {"images", "libraries", "model files"}.isdisjoint(names)
    assert {"network", "storage", "mount", "imports", "model"} <= set(names)


@pytest.mark.parametrize(
    ("values", "capacity", "slower"),
    [
        pytest.param(scaling(pollingInterval=30), None, {"scaling"}, id="the queue is read less often"),
        pytest.param({}, "pod", {"request", "agent", "picture"}, id="whatever the settings keep, a pod is there"),
    ],
)
def test_settings_change_the_stages_that_depend_on_them(values, capacity, slower):
    usual, changed = stages_of(), stages_of(values, capacity)
    if capacity:
        assert {one.name for one in changed.all} == slower
    else:
        assert {one.name for one in changed.all if one not in usual.all} == slower
        assert changed.total() > usual.total() + 10


def test_a_larger_model_takes_longer_and_one_that_the_first_task_names_is_read_after_the_imports():
    flux = {"type": "flux", "modelFilename": None}
    from_bucket = stages_of(**flux, model={"profile": "flux-schnell", "source": "flux-schnell"})
    from_hub = stages_of(**flux, model={"profile": "flux-schnell"})
    assert stages_of().total() + 10 < from_bucket.total() < from_hub.total() - 10
    dynamic = stages_of(modelFilename=None, dynamicModel=True)
    assert "model files" not in {one.name for one in dynamic.all}
    assert dynamic.total() > stages_of().total()


@pytest.mark.parametrize(
    "runtime",
    [
        {
            "type": "bedrock",
            "modelFilename": None,
            "model": {"id": "stability.sd3-5-large-v1:0", "region": "us-west-2"},
        },
        {"extraValues": {"karpenter": {"enabled": False}}},
        {"chartRepository": "oci://example.com/chart", "extraValues": {}},
    ],
)
def test_nothing_is_said_of_starts_that_are_not_the_platforms(runtime):
    config = config_of(**{"values": {}, **runtime})
    assert first_picture(config, config.models_runtime[0]) is None


def test_every_number_has_a_source_and_is_worse_on_a_bad_day():
    for values in ({}, SNAPSHOT, scaling(warm={"nodes": 1})):
        for one in stages_of(values).all:
            assert one.source, one.name
            assert list(one.seconds) == sorted(one.seconds), one.name
