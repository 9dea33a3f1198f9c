"""PersistentVolume and claim: the model bucket in the pod."""

import pytest
from chartkit import AWS, at, merged


@pytest.fixture(scope="module")
def static(releases):
    return releases["static"]


def options(release):
    return release["PersistentVolume"]["spec"]["mountOptions"]


def test_the_volume_is_the_model_bucket(static):
    csi = static["PersistentVolume"]["spec"]["csi"]
    assert (csi["driver"], csi["volumeAttributes"]) == ("s3.csi.aws.com", {"bucketName": "models"})


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


def test_claim_and_volume_are_for_each_other(static):
    volume, claim = static["PersistentVolume"], static["PersistentVolumeClaim"]
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert volume["spec"]["claimRef"] == {"namespace": "art", "name": claim["metadata"]["name"]}
    assert claim["spec"]["storageClassName"] == volume["spec"]["storageClassName"] == "s3-model-storage-sc"
    assert claim["spec"]["resources"]["requests"]["storage"] == volume["spec"]["capacity"]["storage"] == "2Ti"


def test_the_pod_mounts_that_claim(static):
    (volume,) = [each for each in static.pod["spec"]["volumes"] if each["name"] == "models"]
    assert volume["persistentVolumeClaim"]["claimName"] == static["PersistentVolumeClaim"]["metadata"]["name"]


def test_labels_and_annotations_reach_the_claim(helm):
    persistence = {"labels": {"team": "art"}, "annotations": {"a": "b"}}
    claim = helm.template(merged(AWS, at("runtime.persistence", persistence)))["PersistentVolumeClaim"]["metadata"]
    assert (claim["labels"]["team"], claim["annotations"]) == ("art", {"a": "b"})


def test_models_outlive_the_release(static):
    assert static["PersistentVolume"]["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
