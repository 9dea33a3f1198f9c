"""Pods follow the number of tasks, and none is taken from a running job."""

from clusterkit.releases import comfyui
from clusterkit.scene import Scene

from test.kit.charts import at


def finishes(scene, timeout_s):
    """Wait until all is done, and no pod is left."""
    scene.wait(lambda: scene.agents.done == scene.sent, "all jobs are done", timeout_s)
    scene.wait(lambda: scene.release.wanted() == 0 and not scene.release.pods(), "no pod is left", 180)


def test_no_pod_is_taken_from_a_long_job_while_others_wait_or_not(imitated):
    settings = at("runtime.scaling", {"queueLength": 4, "maxReplicaCount": 5, "cooldownPeriod": 15})
    with Scene(imitated, "long-jobs", comfyui, settings, has_scaler=False) as scene:
        scene.send(16, seconds=45)
        finishes(scene, 600)
        assert scene.agents.taken_busy == 0
        assert scene.timeline.max_wanted == 4


def test_a_burst_is_worked_on_by_all_pods_that_may_be(imitated):
    with Scene(imitated, "burst", comfyui, has_scaler=False) as scene:
        scene.send(200, seconds=5)
        scene.wait(lambda: scene.release.wanted() == 20, "twenty pods are wanted", 300)
        finishes(scene, 400)
        scene.wait(lambda: not scene.release.node_claims(), "no node is left", 180)
        assert scene.agents.interrupted == 0
        assert scene.agents.taken_busy == 0


def test_every_pod_that_may_be_gets_its_node(imitated):
    pods = 110
    with Scene(imitated, "many", comfyui, at("runtime.scaling.maxReplicaCount", pods)) as scene:
        scene.send(20 * pods, seconds=60)  # far above the limit: the autoscaler ignores the last tenth
        scene.wait(lambda: scene.release.wanted() == pods, f"{pods} pods are wanted", 300)
        scene.wait(lambda: len(scene.release.node_claims()) == pods, f"{pods} nodes are ordered", 300)
        scene.wait(lambda: scene.ready() == pods, f"{pods} pods are ready", 300)
