"""Nodes that are kept before they are needed, and images that come to a node before its first pod."""

from clusterkit.agents import is_ready
from clusterkit.releases import comfyui
from clusterkit.scene import Scene

from test.kit.charts import at


class Warm(Scene):
    """A runtime that keeps a node."""

    def __init__(self, cluster, name, *changes):
        super().__init__(cluster, name, comfyui, at("runtime.scaling.warm.nodes", 1), *changes, has_scaler=False)

    def on_nodes(self, label):
        """Names of the nodes on which ready pods with a label of this release are."""
        pods = self.kube.list("pods", self.release.namespace, labels=f"{label}={self.release.name}")
        return {pod["spec"]["nodeName"] for pod in pods if is_ready(pod)}

    def nodes(self):
        return {claim["status"].get("nodeName") for claim in self.release.node_claims()}


def test_a_kept_node_is_taken_at_once_and_the_next_one_is_ordered(imitated):
    with Warm(imitated, "warm") as scene:
        scene.wait(lambda: scene.on_nodes("sd-on-eks/warm"), "a node is kept", 300)
        assert scene.release.wanted() == 0
        (kept,) = scene.on_nodes("sd-on-eks/warm")
        scene.wait(lambda: scene.on_nodes("sd-on-eks/images") == {kept}, "the node has the images", 120)
        scene.send(1, seconds=90)
        scene.wait(lambda: scene.on_nodes("app.kubernetes.io/instance") == {kept}, "the kept node has the pod", 120)
        scene.wait(lambda: scene.on_nodes("sd-on-eks/warm") - {kept, None}, "another node is kept", 300)
        assert len(scene.nodes()) == 2
        scene.wait(lambda: scene.agents.done == 1, "the job is done", 300)
        assert scene.agents.taken_busy == 0
        scene.wait(lambda: scene.release.wanted() == 0 and not scene.release.pods(), "no pod is left", 180)
        scene.wait(lambda: len(scene.release.node_claims()) == 1, "one node is kept", 180)
        assert scene.on_nodes("sd-on-eks/warm") == scene.nodes()


def test_outside_its_hours_no_node_is_kept(imitated):
    """On the last day of February 2028 alone: the next years have other weekdays or no such day."""
    hours = at("runtime.scaling.warm.schedule", [{"start": "0 0 29 2 *", "end": "1 0 29 2 *"}])
    with Warm(imitated, "warm-hours", hours) as scene:
        deployment = lambda: scene.kube.get("deployments", "warm-hours-warm", "warm-hours")  # noqa: E731
        scene.wait(lambda: deployment()["spec"]["replicas"] == 0, "KEDA wants no placeholder", 60)
        scene.stays(lambda: deployment()["spec"]["replicas"] == 0, "no placeholder is wanted", 20)
        assert not scene.release.node_claims()
