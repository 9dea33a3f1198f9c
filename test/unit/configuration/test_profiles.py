"""Profiles: defaults that lie under the operator's own keys, and are seen nowhere but in the configuration."""

import pytest

from configuration.profiles import PROFILES, with_profile
from test.unit.configuration.configs import MINIMAL, RUNTIME, changed, errors_of, parsed

PLAIN = ("20Gi", 3000, 125)
TEMPLATE = "modelsRuntime[0].extraValues.karpenter.nodeTemplate"


def volume_of(config):
    volume = config.models_runtime[0].extra_values.karpenter.node_template.data_volume
    return volume.volume_size, volume.iops, volume.throughput


def test_no_profile_is_the_resilient_one_and_every_default():
    assert parsed() == parsed(("profile", "resilient")) == parsed(("profile", ""))


@pytest.mark.parametrize("name", ["lean", "standard"])
def test_a_cheaper_profile_sets_each_of_its_keys(name):
    config, tree = parsed(("profile", name)), PROFILES[name]
    assert config.vpc.nat_gateways == tree["vpc"]["natGateways"]
    assert config.cluster.system_nodes.model_dump(by_alias=True) == tree["cluster"]["systemNodes"]
    assert config.cluster.log_types == tree["cluster"]["logTypes"]
    assert config.monitoring.model_dump(by_alias=True).items() >= tree["monitoring"].items()
    assert volume_of(config) == PLAIN


def test_a_key_of_the_operator_is_taken_in_place_of_the_profiles_and_those_beside_it_stay():
    config = parsed(
        ("profile", "lean"),
        ("vpc.natGateways", 2),
        ("cluster.systemNodes.count", 4),
        ("cluster.logTypes", []),
        ("monitoring.containerInsights", None),
        ("monitoring.logRetentionDays", 7),
        (f"{TEMPLATE}.dataVolume.iops", 5000),
    )
    assert config.vpc.nat_gateways == 2
    assert (config.cluster.system_nodes.instance_type, config.cluster.system_nodes.count) == ("t4g.medium", 4)
    assert config.cluster.log_types == []
    assert (config.monitoring.container_insights, config.monitoring.log_retention_days) == ("off", 7)
    assert volume_of(config) == ("20Gi", 5000, 125)


@pytest.mark.parametrize(
    ("places", "runtime"),
    [
        ([(f"{TEMPLATE}.dataVolume.snapshotID", "snap-1")], RUNTIME),
        ([(f"{TEMPLATE}.dataVolume.volumeType", "io2")], RUNTIME),
        ([(f"{TEMPLATE}.instanceStorePolicy", "None")], RUNTIME),
        ([("modelsRuntime[0].extraValues.karpenter.provisioner.instanceType", ["g5.xlarge", "g5g.xlarge"])], RUNTIME),
        ([("modelsRuntime[0].chartRepository", "oci://registry.example/charts/own")], RUNTIME),
        ([], {"name": "a", "type": "bedrock", "model": {"id": "stability.stable-image-core-v1:1"}}),
    ],
)
def test_the_volume_stays_large_where_images_are_on_it_and_where_there_is_none_of_ours(places, runtime):
    assert volume_of(parsed(("profile", "lean"), *places, runtime=runtime)) == volume_of(
        parsed(*places, runtime=runtime)
    )


PERSISTENCE = "modelsRuntime[0].extraValues.runtime.persistence"
COMFYUI = {"name": "a", "type": "comfyui"}


@pytest.mark.parametrize(
    ("places", "runtime", "mode"),
    [
        ([("profile", "lean")], RUNTIME, "copy"),
        ([("profile", "standard")], RUNTIME, "copy"),
        ([("profile", "resilient")], RUNTIME, "mount"),
        ([("profile", "lean"), (f"{PERSISTENCE}.mode", "mount")], RUNTIME, "mount"),
        ([("profile", "lean"), (f"{PERSISTENCE}.existingClaim", "mine")], RUNTIME, "mount"),
        ([("profile", "lean"), (f"{PERSISTENCE}.enabled", False)], RUNTIME, "mount"),
        ([("profile", "lean"), (f"{TEMPLATE}.instanceStorePolicy", "None")], RUNTIME, "mount"),
        ([("profile", "lean"), ("modelsRuntime[0].dynamicModel", True)], RUNTIME, "mount"),
        ([("profile", "lean"), ("modelsRuntime[0].extraValues.karpenter.enabled", False)], RUNTIME, "mount"),
        ([("profile", "lean")], COMFYUI, "mount"),
    ],
)
def test_a_runtime_of_one_checkpoint_copies_its_models_where_nodes_have_disks_of_their_own(places, runtime, mode):
    [found] = parsed(*places, runtime=runtime).models_runtime
    assert (found.extra_values.runtime.persistence.mode, found.copies_models) == (mode, mode == "copy")


def test_comfyui_may_copy_the_whole_bucket():
    assert parsed((f"{PERSISTENCE}.mode", "copy"), runtime=COMFYUI).models_runtime[0].copies_models


@pytest.mark.parametrize(
    "runtime",
    [
        {"name": "a", "type": "flux", "model": {"profile": "flux-schnell"}},
        {"name": "a", "type": "sdwebui", "dynamicModel": True},
    ],
)
def test_models_that_tasks_choose_are_not_copied(runtime):
    assert list(errors_of(changed((f"{PERSISTENCE}.mode", "copy"), runtime=runtime))) == [f"{PERSISTENCE}.mode"]


@pytest.mark.parametrize(("key", "value"), [("existingClaim", "mine"), ("enabled", False)])
def test_models_of_a_claim_or_of_nowhere_are_not_copied(key, value):
    [error] = errors_of(changed((f"{PERSISTENCE}.mode", "copy"), (f"{PERSISTENCE}.{key}", value))).values()
    assert "mode must be mount" in error


@pytest.mark.parametrize(
    ("path", "value"),
    [("vpc", 5), ("monitoring", "all"), ("cluster.systemNodes", []), ("modelsRuntime[0].extraValues", 1)],
)
def test_an_error_in_a_section_is_the_same_with_and_without_a_profile(path, value):
    assert errors_of(changed((path, value), ("profile", "lean"))) == errors_of(changed((path, value)))


@pytest.mark.parametrize("data", [None, 5, [], {"profile": []}, {"profile": "lean", "modelsRuntime": [1, None]}])
def test_a_file_that_is_no_configuration_is_rejected_with_a_profile_too(data):
    assert errors_of(data)


def test_an_unknown_profile_is_an_error_at_its_key():
    assert list(errors_of(changed(("profile", "cheap")))) == ["profile"]


def test_laying_a_profile_changes_neither_the_file_nor_the_profile():
    data = {**MINIMAL, "profile": "lean", "vpc": {"cidr": "10.0.0.0/16"}}
    before = repr((data, PROFILES))
    with_profile(data)["cluster"]["systemNodes"]["count"] = 9
    assert repr((data, PROFILES)) == before


def test_off_without_quotes_is_off():
    assert parsed(("monitoring.containerInsights", False)).monitoring.container_insights == "off"


@pytest.mark.parametrize("places", [[("profile", "lean")], [("vpc.natGateways", 0)]])
def test_without_a_nat_gateway_charts_are_installed_from_anywhere(places):
    error = errors_of(changed(*places, ("cluster.publicAccessCidrs", ["203.0.113.0/24"])))
    assert list(error) == ["cluster.publicAccessCidrs"]
    assert "vpc.natGateways to 1" in error["cluster.publicAccessCidrs"]
    for value in (["203.0.113.0/24", "0.0.0.0/0"], None):
        parsed(*places, ("cluster.publicAccessCidrs", value))
    parsed(*places, ("vpc.natGateways", 1), ("cluster.publicAccessCidrs", []))
    managed = {"name": "a", "type": "bedrock", "model": {"id": "stability.stable-image-core-v1:1"}}
    parsed(*places, ("cluster.publicAccessCidrs", []), runtime=managed)
