"""A queue that cannot be read changes no number of pods."""

from clusterkit.releases import at, comfyui
from clusterkit.scene import Scene


def is_known_to_fail(scene):
    """Whether KEDA says at the ScaledObject that it goes by its fallback."""
    name = scene.release.named("ScaledObject")
    return scene.release.condition("scaledobjects", name, "Fallback", scene.release.namespace)[0] == "True"


def test_no_pod_starts_while_an_idle_queue_cannot_be_read(imitated):
    with Scene(imitated, "unreadable-idle", comfyui) as scene:
        name = scene.release.named("ScaledObject")
        scene.wait(
            lambda: scene.release.condition("scaledobjects", name, "Ready", "unreadable-idle")[0] == "True",
            "KEDA reads the queue",
            60,
        )
        scene.aws.deny(scene.queue)
        scene.timeline.note("the queue cannot be read from now on")
        scene.wait(lambda: is_known_to_fail(scene), "KEDA says so", 60)
        scene.stays(lambda: scene.release.wanted() == 0 and not scene.release.node_claims(), "no pod is wanted", 30)
        scene.aws.allow(scene.queue)
        scene.send(1, seconds=5)
        scene.wait(lambda: scene.agents.done == 1, "the queue is read and worked on again", 180)


def test_five_pods_stay_while_their_queue_cannot_be_read(imitated):
    settings = at("runtime.scaling", {"queueLength": 1, "maxReplicaCount": 5, "cooldownPeriod": 15})
    with Scene(imitated, "unreadable-busy", comfyui, settings) as scene:
        scene.send(5, seconds=240)
        scene.wait(lambda: scene.ready() == 5, "five pods are ready", 240)
        scene.aws.deny(scene.queue)
        scene.timeline.note("the queue cannot be read from now on")
        scene.wait(lambda: is_known_to_fail(scene), "KEDA says so", 60)
        scene.stays(lambda: scene.release.wanted() == 5 and scene.ready() == 5, "five pods are wanted and there", 60)
        scene.aws.allow(scene.queue)
        assert scene.agents.taken_busy == 0
