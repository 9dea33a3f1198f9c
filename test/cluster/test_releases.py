"""Every example configuration is installed, upgraded and removed."""

import pytest
from clusterkit.programs import wait_for
from clusterkit.releases import Release, examples

_CLUSTER_WIDE = {
    "nodepools": "NodePool",
    "ec2nodeclasses": "EC2NodeClass",
    "persistentvolumes": "PersistentVolume",
    "validatingadmissionpolicies": "ValidatingAdmissionPolicy",
}


def wait_until_ready(release, kind, name, namespace=None):
    def said():
        return f"{kind}/{name} is ready: {release.condition(kind, name, 'Ready', namespace)}"

    wait_for(lambda: release.condition(kind, name, "Ready", namespace)[0] == "True", said, 60)


@pytest.mark.parametrize("example", examples(), ids=str)
def test_an_example_is_installed_and_upgraded_and_leaves_nothing(cluster, example):
    name = str(example)[:40].strip("-")
    values = example.values(cluster.queue(name))
    release = Release(cluster.kube, name, cluster.scratch, values).deploy()
    made = {document["kind"] for document in release.manifest}
    # A runtime that copies its models has no volume.
    names = {kind: release.named(document) for kind, document in _CLUSTER_WIDE.items() if document in made}
    assert names.keys() >= _CLUSTER_WIDE.keys() - {"persistentvolumes"}
    try:
        wait_until_ready(release, "scaledobjects", release.named("ScaledObject"), name)
        if cluster.is_imitated:
            for kind in ("ec2nodeclasses", "nodepools"):
                wait_until_ready(release, kind, names[kind])
        policy = cluster.kube.get("validatingadmissionpolicies", names["validatingadmissionpolicies"])
        assert not policy["status"].get("typeChecking", {}).get("expressionWarnings")
        release.deploy()
        assert release.wanted() == 0
        assert not release.pods()
        assert not release.node_claims()
    finally:
        release.remove()
    for kind, of_kind in names.items():
        wait_for(lambda kind=kind, of=of_kind: cluster.kube.get(kind, of) is None, f"{kind} {of_kind} is gone", 60)
    wait_for(lambda: cluster.kube.get("namespaces", name) is None, f"namespace {name} is gone", 60)
