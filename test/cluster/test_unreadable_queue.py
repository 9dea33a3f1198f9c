"""A queue that cannot be read changes no number of pods."""

from clusterkit.programs import wait_for
from clusterkit.releases import comfyui
from clusterkit.scene import Scene

from test.kit.charts import at

TRIGGERS = {"total", "waiting", "wanted"}


def cannot_be_read(scene, control_plane, seconds, condition, what):
    """Let KEDA and the scaler fail to read the queue for a while, in which something must hold."""
    namespace = scene.release.namespace
    scene.aws.deny(scene.queue)
    scene.timeline.note("the queue cannot be read from now on")
    scene.wait(
        lambda: control_plane.unread_triggers(namespace) == TRIGGERS, "KEDA has given up on all that reads it", 60
    )
    scene.stays(condition, what, seconds)
    assert control_plane.unread_triggers(namespace) == TRIGGERS, "it says no more that it cannot read the queue"
    scene.aws.allow(scene.queue)


def test_no_pod_starts_while_an_idle_queue_cannot_be_read(imitated):
    with Scene(imitated, "unreadable-idle", comfyui) as scene:
        name = scene.release.named("ScaledObject")
        scene.wait(
            lambda: scene.release.condition("scaledobjects", name, "Ready", scene.release.namespace)[0] == "True",
            "KEDA reads the queue",
            60,
        )

        def rests():
            return scene.release.wanted() == 0 and not scene.release.node_claims()

        cannot_be_read(scene, imitated.control_plane, 40, rests, "no pod is wanted")
        scene.send(1, seconds=5)
        scene.wait(lambda: scene.agents.done == 1, "the queue is read and worked on again", 180)


def test_a_first_installation_starts_no_pod_where_the_queue_cannot_be_read(imitated, install):
    queue = imitated.queue("unreadable-first")
    imitated.aws.deny(queue)
    release = install("unreadable-first", comfyui(queue))
    unread = imitated.control_plane.unread_triggers
    wait_for(lambda: unread(release.namespace) == TRIGGERS, "KEDA has given up on all that reads it", 60)
    assert release.wanted() == 0
    release.deploy(at("runtime.labels", {"team": "art"}))
    assert release.wanted() == 0
    assert not release.pods()
    imitated.aws.allow(queue)


def test_five_pods_stay_while_their_queue_cannot_be_read(imitated):
    settings = at("runtime.scaling", {"queueLength": 1, "maxReplicaCount": 5, "cooldownPeriod": 15})
    with Scene(imitated, "unreadable-busy", comfyui, settings) as scene:
        scene.scaler.stop()
        scene.send(5, seconds=200)
        scene.wait(lambda: scene.ready() == 5, "five pods are ready", 240)

        def works():
            return scene.release.wanted() == 5 and scene.ready() == 5

        scene.release.deploy(at("runtime.scaling.pollingInterval", 2))
        cannot_be_read(scene, imitated.control_plane, 60, works, "five pods are wanted and there")
        assert scene.agents.taken_busy == 0
