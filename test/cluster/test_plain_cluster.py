"""A cluster without Karpenter: its own GPU nodes, credentials from a secret, models in the image."""

import pytest
from clusterkit.nodes import gpu_node
from clusterkit.releases import comfyui
from clusterkit.scene import Scene

from test.kit.charts import merged

_NODES = ("gpu-1", "gpu-2")


@pytest.fixture
def gpu_nodes(imitated):
    """Two nodes with a GPU each."""
    for name in _NODES:
        imitated.kube.create("nodes", gpu_node(name))
    yield
    for name in _NODES:
        imitated.kube.delete("nodes", name)


def test_a_plain_cluster_works_and_rests(imitated, gpu_nodes):
    def values(queue):
        keys = {"credentialsSecret": "keys", "awsEndpointUrl": imitated.aws.url}
        return merged(
            comfyui(queue),
            {
                "karpenter": {"enabled": False},
                "runtime": {
                    "queueAgent": keys,
                    "persistence": {"enabled": False},
                    "scaling": {"maxReplicaCount": 2},
                },
            },
        )

    imitated.kube.ensure_namespace("plain")
    keys = {name: imitated.aws.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    imitated.kube.create("secrets", {"metadata": {"name": "keys"}, "stringData": keys}, "plain")
    with Scene(imitated, "plain", values, has_karpenter=False, has_scaler=False) as scene:
        scene.send(30, seconds=3)
        scene.wait(lambda: scene.ready() == 2, "two pods are ready", 120)
        scene.wait(lambda: scene.agents.done == 30, "all jobs are done", 180)
        scene.wait(lambda: scene.release.wanted() == 0 and not scene.release.pods(), "no pod is left", 180)
        assert scene.agents.taken_busy == 0
