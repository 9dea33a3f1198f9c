"""Every document of every release is one that its API takes."""

import kubernetes_validate
import pytest
from chartkit import ANYWHERE, AWS, CHART, COMFYUI, DYNAMIC, FIXED, FLUX, LOCAL_DISKS

from test.kit.charts import merged

CUSTOM = {"EC2NodeClass", "NodePool", "ScaledObject", "TriggerAuthentication"}
KUBERNETES = "1.36.0"
NAMES = ("static", "dynamic", "comfyui", "flux", "local disks", "anywhere", "fixed", "china")


@pytest.mark.parametrize("more", [{}, DYNAMIC, COMFYUI, FLUX, LOCAL_DISKS, ANYWHERE, FIXED])
def test_helm_has_nothing_against_the_chart(helm, more):
    done = helm.run("lint", "--strict", CHART, values=merged(AWS, more))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_takes_every_document_that_is_its_own(releases, name):
    own = [document for document in releases[name].all if document["kind"] not in CUSTOM]
    assert len(own) > 5
    for document in own:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_karpenter_and_keda_take_every_document_that_is_theirs(releases, faults_of_custom_resources):
    theirs = [document for release in releases.values() for document in release.all if document["kind"] in CUSTOM]
    assert {document["kind"] for document in theirs} == CUSTOM
    assert [fault for faults in faults_of_custom_resources(theirs) for fault in faults] == []


def test_the_schemas_see_a_wrong_value_and_a_field_that_is_not_there(releases, faults_of_custom_resources):
    pool, node_class = releases["static"]["NodePool"], releases["static"]["EC2NodeClass"]
    wrong = merged(pool, {"spec": {"disruption": {"consolidationPolicy": "Sometimes"}}})
    unknown = merged(node_class, {"spec": {"metadataOptions": {"httpToken": "required"}}})
    (of_wrong, of_unknown) = faults_of_custom_resources([wrong, unknown])
    assert "consolidationPolicy" in str(of_wrong)
    assert of_unknown == ["spec.metadataOptions.httpToken is not known"]


@pytest.mark.parametrize("name", NAMES)
def test_every_document_says_which_release_it_is_of(releases, name):
    for document in releases[name].all:
        assert document["metadata"]["labels"]["app.kubernetes.io/instance"] == "sdruntime"


def test_what_belongs_to_no_namespace_has_a_name_of_its_own_in_each_namespace(helm):
    cluster_wide = {"NodePool", "EC2NodeClass", "PersistentVolume", "ValidatingAdmissionPolicy"}
    one, other = (helm.template(AWS, namespace=namespace) for namespace in ("art", "photos"))
    assert all(one[kind]["metadata"]["name"] != other[kind]["metadata"]["name"] for kind in cluster_wide)


def test_names_stay_short_and_differ_for_the_longest_releases_and_namespaces(helm):
    namespace = "n" * 60
    releases = [helm.template(AWS, release="r" * 52 + end, namespace=namespace) for end in "ab"]
    names = [release["NodePool"]["metadata"]["name"] for release in releases]
    assert len(set(names)) == 2
    assert all(len(name) <= 63 for name in names)
