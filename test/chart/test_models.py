"""PersistentVolume and claim: the model bucket in the pod."""

import pytest
from chartkit import AWS

from configuration.chart_values import Persistence
from test.kit.charts import at, merged

PATH = "runtime.persistence"
UNCHANGEABLE = {
    "bucketName": "other-models",
    "cacheSize": "50Gi",
    "mountMemory": "1Gi",
    "size": "3Ti",
    "storageClass": "other",
    "accessModes": ["ReadOnlyMany"],
}
"""Settings that Kubernetes lets nobody change in a volume or a bound claim, each with another value."""
CHANGEABLE = {"labels": {"a": "b"}, "annotations": {"a": "b"}, "prefix": "v2/", "region": "us-east-1"}


def test_two_runtimes_never_share_a_volume_handle_and_the_longest_names_are_short_enough(helm):
    places = [("a", "art"), ("b", "art"), ("a", "photos"), ("r" * 53, "n" * 63)]
    releases = [helm.template(AWS, release=release, namespace=namespace) for release, namespace in places]
    assert len({each["PersistentVolume"]["spec"]["csi"]["volumeHandle"] for each in releases}) == len(places)
    assert max(len(name) for each in releases for name in names(each)) <= 128


def names(release):
    volume, claim = release["PersistentVolume"], release["PersistentVolumeClaim"]
    return {volume["metadata"]["name"], volume["spec"]["csi"]["volumeHandle"], claim["metadata"]["name"]}


def parts_that_kubernetes_keeps(release):
    volume, claim = release["PersistentVolume"]["spec"], release["PersistentVolumeClaim"]["spec"]
    return volume["csi"], volume["capacity"], volume["accessModes"], volume["storageClassName"], claim


def test_the_table_below_has_every_setting():
    others = {"enabled", "existingClaim", "mode", "copySize"}
    settings = {field.alias for field in Persistence.model_fields.values()} - others
    assert settings == UNCHANGEABLE.keys() | CHANGEABLE.keys()


@pytest.mark.parametrize(("setting", "value"), {**UNCHANGEABLE, **CHANGEABLE}.items())
def test_another_value_of_what_kubernetes_keeps_makes_another_volume_and_claim(helm, static, setting, value):
    changed = helm.template(merged(AWS, at(f"{PATH}.{setting}", value)))
    same_parts = parts_that_kubernetes_keeps(changed) == parts_that_kubernetes_keeps(static)
    assert same_parts is (names(changed) == names(static)) is (setting not in UNCHANGEABLE)
    assert same_parts or names(changed).isdisjoint(names(static))
    # Pod, claim and volume belong together.
    volume, claim = changed["PersistentVolume"], changed["PersistentVolumeClaim"]
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert volume["spec"]["claimRef"] == {"namespace": "art", "name": claim["metadata"]["name"]}
    assert claim["spec"]["storageClassName"] == volume["spec"]["storageClassName"]
    assert claim["spec"]["accessModes"] == volume["spec"]["accessModes"]
    assert claim["spec"]["resources"]["requests"]["storage"] == volume["spec"]["capacity"]["storage"]
    (mounted,) = [each for each in changed.pod["spec"]["volumes"] if each["name"] == "models"]
    assert mounted["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


@pytest.mark.parametrize(
    "other",
    [
        at("runtime.type", "invokeai"),
        at("runtime.queueAgent.dynamicModel", True),
        at("runtime.persistence.existingClaim", "mine"),
    ],
)
def test_models_that_are_not_known_beforehand_and_those_of_a_claim_are_not_copied(helm, other):
    values = merged(AWS, at("runtime.persistence.mode", "copy"), other)
    assert "runtime.persistence.mode: set it to mount" in helm.refusal(values)


def test_comfyui_copies_all_files(helm):
    copied = helm.template(merged(AWS, at("runtime.type", "comfyui"), at("runtime.persistence.mode", "copy")))
    [_, copies] = copied.pod["spec"]["initContainers"]
    assert "MODEL_FILENAME" not in {one["name"] for one in copies["env"]}
