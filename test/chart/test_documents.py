"""Every document of every release is one that its API takes."""

from pathlib import Path

import kubernetes_validate
import pytest
from chartkit import ANYWHERE, AWS, CHART, COMFYUI, DYNAMIC, FIXED, FLUX, LOCAL_DISKS, MANAGED, NAMES, QUEUE

from configuration.file import load_config
from configuration.images import IMAGES
from configuration.release_values import release_values
from test.kit.charts import merged, resources_of

CUSTOM = {"EC2NodeClass", "NodePool", "ScaledObject", "TriggerAuthentication"}
CLUSTER_WIDE = {"NodePool", "EC2NodeClass", "PersistentVolume", "ValidatingAdmissionPolicy"}
KUBERNETES = "1.36.0"


@pytest.mark.parametrize("more", [{}, DYNAMIC, COMFYUI, FLUX, LOCAL_DISKS, ANYWHERE, FIXED, MANAGED])
def test_helm_has_nothing_against_the_chart(helm, more):
    done = helm.run("lint", "--strict", CHART, values=merged(AWS, more))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_takes_every_document_that_is_its_own_and_each_says_which_release_it_is_of(releases, name):
    own = [document for document in releases[name].all if document["kind"] not in CUSTOM]
    assert len(own) > 5
    for document in own:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    for document in releases[name].all:
        assert document["metadata"]["labels"]["app.kubernetes.io/instance"] == "sdruntime"


def test_karpenter_and_keda_take_every_document_that_is_theirs(releases, errors_of_custom_resources):
    theirs = [document for release in releases.values() for document in release.all if document["kind"] in CUSTOM]
    assert {document["kind"] for document in theirs} == CUSTOM
    assert [error for errors in errors_of_custom_resources(theirs) for error in errors] == []


def test_the_schemas_see_a_wrong_value_and_a_field_that_is_not_there(static, errors_of_custom_resources):
    wrong = merged(static["NodePool"], {"spec": {"disruption": {"consolidationPolicy": "Sometimes"}}})
    unknown = merged(static["EC2NodeClass"], {"spec": {"metadataOptions": {"httpToken": "required"}}})
    (of_wrong, of_unknown) = errors_of_custom_resources([wrong, unknown])
    assert "consolidationPolicy" in str(of_wrong)
    assert of_unknown == ["spec.metadataOptions.httpToken is not known"]


def test_names_without_a_namespace_differ_by_namespace_and_release_and_stay_short(helm):
    namespace, longest = "n" * 60, "r" * 52
    installed = [("sdruntime", "art"), ("sdruntime", "photos"), (f"{longest}a", namespace), (f"{longest}b", namespace)]
    releases = [helm.template(AWS, release=release, namespace=namespace) for release, namespace in installed]
    for kind in CLUSTER_WIDE:
        names = {release[kind]["metadata"]["name"] for release in releases}
        assert len(names) == len(releases)
        assert max(map(len, names)) <= (63 if kind == "NodePool" else 253)


def runtimes():
    for path in sorted(Path("examples/configs").glob("*.yaml")):
        config = load_config(path)
        for runtime in config.models_runtime:
            if config.has_cluster and runtime.chart_repository is None:
                yield pytest.param(config, runtime, id=f"{path.stem}-{runtime.name}")


@pytest.mark.parametrize(("config", "runtime"), tuple(runtimes()))
def test_a_runtime_of_an_example_installs_with_the_values_that_a_deployment_computes(helm, config, runtime):
    values = release_values(config, runtime, resources_of(QUEUE, "agents"), image_tags=dict.fromkeys(IMAGES, "0.1.0"))
    release = helm.template(values, release=runtime.name, namespace=runtime.namespace)
    assert release["Deployment"]["metadata"]["name"] == runtime.name
    most = values["runtime"]["scaling"]["maxReplicaCount"]
    assert release["ScaledObject"]["spec"]["maxReplicaCount"] == most
    assert runtime.is_managed or most == runtime.extra_values.runtime.scaling.max_replica_count
