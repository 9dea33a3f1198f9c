"""PersistentVolume and claim: the model bucket in the pod."""

import pytest
from chartkit import AWS

from configuration.chart_values import Persistence
from test.kit.charts import at, merged


@pytest.fixture(scope="module")
def static(releases):
    return releases["static"]


def options(release):
    return release["PersistentVolume"]["spec"]["mountOptions"]


def test_the_volume_is_the_model_bucket(static):
    csi = static["PersistentVolume"]["spec"]["csi"]
    assert (csi["driver"], csi["volumeAttributes"]["bucketName"]) == ("s3.csi.aws.com", "models")


def test_two_runtimes_never_share_a_volume_handle(helm):
    places = [("a", "art"), ("b", "art"), ("a", "photos")]
    releases = [helm.template(AWS, release=release, namespace=namespace) for release, namespace in places]
    assert len({each["PersistentVolume"]["spec"]["csi"]["volumeHandle"] for each in releases}) == len(places)


def test_models_cannot_be_written(static):
    assert "read-only" in options(static)


def test_servers_that_are_not_root_can_read_them(static):
    assert "allow-other" in options(static)


@pytest.mark.parametrize(("name", "ttl"), [("static", "indefinite"), ("comfyui", "indefinite"), ("dynamic", "60")])
def test_only_a_server_that_loads_what_is_asked_for_looks_for_new_files(releases, name, ttl):
    assert f"metadata-ttl {ttl}" in options(releases[name])


def test_a_folder_and_a_region_can_be_named(releases, static):
    assert {"prefix v2/", "region us-east-1"} <= set(options(releases["dynamic"]))
    assert not any(option.startswith(("prefix", "region")) for option in options(static))


def test_what_was_read_is_kept_on_the_node_up_to_a_limit(releases):
    attributes = releases["dynamic"]["PersistentVolume"]["spec"]["csi"]["volumeAttributes"]
    assert (attributes["cache"], attributes["cacheEmptyDirSizeLimit"]) == ("emptyDir", "50Gi")


def test_the_defaults_are_the_references(static):
    claim = static["PersistentVolumeClaim"]["spec"]
    assert (claim["storageClassName"], claim["resources"]["requests"]["storage"]) == ("s3-model-storage-sc", "2Ti")


def assert_they_belong_together(release):
    volume, claim = release["PersistentVolume"], release["PersistentVolumeClaim"]
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert volume["spec"]["claimRef"] == {"namespace": "art", "name": claim["metadata"]["name"]}
    assert claim["spec"]["storageClassName"] == volume["spec"]["storageClassName"]
    assert claim["spec"]["accessModes"] == volume["spec"]["accessModes"]
    assert claim["spec"]["resources"]["requests"]["storage"] == volume["spec"]["capacity"]["storage"]
    (mounted,) = [each for each in release.pod["spec"]["volumes"] if each["name"] == "models"]
    assert mounted["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_pod_claim_and_volume_belong_together(static):
    assert_they_belong_together(static)


def test_labels_and_annotations_reach_the_claim(helm):
    persistence = {"labels": {"team": "art"}, "annotations": {"a": "b"}}
    claim = helm.template(merged(AWS, at("runtime.persistence", persistence)))["PersistentVolumeClaim"]["metadata"]
    assert (claim["labels"]["team"], claim["annotations"]) == ("art", {"a": "b"})


def test_models_outlive_the_release(static):
    assert static["PersistentVolume"]["spec"]["persistentVolumeReclaimPolicy"] == "Retain"


UNCHANGEABLE = {
    "bucketName": "other-models",
    "cacheSize": "50Gi",
    "mountMemory": "1Gi",
    "size": "3Ti",
    "storageClass": "other",
    "accessModes": ["ReadOnlyMany"],
}
"""Settings that Kubernetes lets nobody change in a volume or a bound claim, each with another value."""


def names(release):
    volume, claim = release["PersistentVolume"], release["PersistentVolumeClaim"]
    return {volume["metadata"]["name"], volume["spec"]["csi"]["volumeHandle"], claim["metadata"]["name"]}


def parts_that_kubernetes_keeps(release):
    volume, claim = release["PersistentVolume"]["spec"], release["PersistentVolumeClaim"]["spec"]
    return volume["csi"], volume["capacity"], volume["accessModes"], volume["storageClassName"], claim


@pytest.mark.parametrize(("setting", "value"), UNCHANGEABLE.items())
def test_another_value_of_what_kubernetes_keeps_makes_another_volume_and_claim(helm, static, setting, value):
    changed = helm.template(merged(AWS, at(f"runtime.persistence.{setting}", value)))
    assert names(changed).isdisjoint(names(static))
    assert_they_belong_together(changed)


@pytest.mark.parametrize(
    "setting",
    sorted({field.alias for field in Persistence.model_fields.values()} - {"enabled", "existingClaim"}),
)
def test_every_setting_is_either_in_the_names_or_may_be_changed(helm, static, setting):
    values = {**UNCHANGEABLE, "labels": {"a": "b"}, "annotations": {"a": "b"}, "prefix": "v2/", "region": "us-east-1"}
    changed = helm.template(merged(AWS, at(f"runtime.persistence.{setting}", values[setting])))
    same_parts = parts_that_kubernetes_keeps(changed) == parts_that_kubernetes_keeps(static)
    assert (names(changed) == names(static)) is same_parts is (setting not in UNCHANGEABLE)


def test_the_longest_names_are_short_enough_for_kubernetes_and_the_driver(helm):
    release = helm.template(AWS, release="r" * 53, namespace="n" * 63)
    assert max(map(len, names(release))) <= 128


def test_mountpoints_pod_is_not_the_first_that_a_node_short_of_memory_ends(static):
    """Without a request it would be: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/."""
    attributes = static["PersistentVolume"]["spec"]["csi"]["volumeAttributes"]
    assert attributes["mountpointContainerResourcesRequestsMemory"] == "512Mi"
