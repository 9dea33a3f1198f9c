"""What happens to pods at a roll-out, at a Spot warning, and to what an operator changes by hand."""

from clusterkit.agents import is_ready
from clusterkit.releases import comfyui
from clusterkit.scene import Scene

from queue_agent.kubernetes import BUSY_ANNOTATIONS
from test.kit.charts import at

_PODS = 8


def pods_fixed(count):
    return at("runtime", {"scaling": {"enabled": False}, "replicas": count})


def test_a_roll_out_replaces_a_quarter_of_the_pods_at_a_time(imitated):
    with Scene(imitated, "roll-out", comfyui, pods_fixed(_PODS)) as scene:
        scene.wait(lambda: scene.ready() == _PODS, "all pods are ready", 240)
        before = {pod["metadata"]["uid"] for pod in scene.release.pods()}
        volume = scene.release.named("PersistentVolume")
        scene.send(24, seconds=20)
        scene.release.deploy(at("runtime.persistence.bucketName", "other-models"))
        scene.timeline.note("the model bucket is another one")
        at_once = set()

        def replaced():
            pods = [pod for pod in scene.release.pods() if "deletionTimestamp" not in pod["metadata"]]
            new = [pod for pod in pods if pod["metadata"]["uid"] not in before]
            at_once.add(sum(not is_ready(pod) for pod in new))
            assert sum(is_ready(pod) for pod in pods) >= _PODS
            return len(new) == len(pods) == _PODS and all(is_ready(pod) for pod in new)

        scene.wait(replaced, "all pods are new", 600)
        assert max(at_once) == _PODS // 4
        scene.wait(lambda: scene.agents.done == 24, "all jobs are done", 120)
        assert scene.agents.interrupted == 0
        scene.wait(lambda: scene.kube.get("persistentvolumes", volume) is None, "the former volume is gone", 120)


def test_a_spot_warning_ends_even_a_busy_pod_and_orders_another_node(imitated):
    with Scene(imitated, "spot", comfyui) as scene:
        scene.send(1, seconds=130)
        scene.wait(lambda: scene.ready() == 1, "the pod is ready", 180)
        (pod,) = scene.release.pods()

        def is_marked():
            found = scene.kube.get("pods", pod["metadata"]["name"], "spot")
            return BUSY_ANNOTATIONS.items() <= found["metadata"]["annotations"].items()

        scene.wait(is_marked, "it is marked", 30)
        (claim,) = scene.release.node_claims()
        scene.aws.warn_of_interruption(claim["status"]["providerID"].rpartition("/")[2])
        scene.timeline.note("EC2 warns that it takes the instance back")
        scene.wait(lambda: scene.agents.taken_busy == 1, "the pod must end", 60)
        first = claim["metadata"]["name"]

        def another_node():
            return any(claim["metadata"]["name"] != first for claim in scene.release.node_claims())

        scene.wait(another_node, "another node is ordered", 60)
        scene.wait(lambda: scene.kube.get("nodeclaims", first) is None, "the first one is gone", 120)
        scene.wait(
            lambda: scene.ready() == 1 and scene.aws.depth(scene.queue) == (0, 1), "another agent has the job", 180
        )
        assert scene.agents.interrupted == 1


def test_a_number_of_pods_that_was_fixed_by_hand_is_fixed_in_the_values(imitated):
    with Scene(imitated, "fixed", comfyui) as scene:
        name, namespace = scene.release.named("ScaledObject"), scene.release.namespace
        pause = {"metadata": {"annotations": {"autoscaling.keda.sh/paused-replicas": "2"}}}
        scene.kube.patch("scaledobjects", name, pause, namespace)
        scene.wait(lambda: scene.release.wanted() == 2, "two pods are wanted", 60)
        scene.release.deploy()
        assert scene.release.wanted() == 2
        scene.release.deploy(pods_fixed(2))
        assert scene.release.wanted() == 2
        scene.release.deploy()
        scene.wait(lambda: scene.release.wanted() == 0, "no pod is wanted", 120)


def test_what_an_operator_changes_by_hand_is_given_back(install, cluster):
    release = install("emergency", comfyui(cluster.queue("emergency")))
    name = release.named("ScaledObject")
    change = '{"spec": {"maxReplicaCount": 1}}'
    patch = ("patch", "scaledobject", name, "--namespace", "emergency", "--type", "merge", "--patch", change)
    assert cluster.kube.kubectl(*patch).returncode == 0
    refused = release.install()
    assert "conflict" in refused.stderr
    assert "kubectl-patch" in refused.stderr
    forced = release.install(options=("--force-conflicts",))
    assert forced.returncode == 0, forced.stderr
    assert cluster.kube.get("scaledobjects", name, "emergency")["spec"]["maxReplicaCount"] == 20
    assert release.install().returncode == 0
