"""Pods by seconds of work: what the scaler says, through KEDA, the autoscaler and Karpenter; and what if it is away."""

from clusterkit.releases import comfyui
from clusterkit.scene import Scene

from test.kit.charts import at

PATIENCE_S = 300
"""How long the nodes of a load that is done may take to go."""


def ends(scene, *, within_s):
    """Wait until all is done, which has its time, and until no pod and no node is left."""
    scene.wait(lambda: scene.agents.done == scene.sent, "all jobs are done", within_s)
    scene.wait(
        lambda: not (scene.release.wanted() or scene.release.pods() or scene.release.node_claims()),
        "no pod and no node is left",
        PATIENCE_S,
    )
    assert scene.agents.taken_busy == scene.agents.interrupted == 0


def is_unread(scene, cluster, *triggers):
    return lambda: set(triggers) <= cluster.control_plane.unread_triggers(scene.release.namespace)


def test_a_burst_of_short_jobs_orders_few_nodes_at_once(imitated):
    with Scene(imitated, "burst-200x5s", comfyui) as scene:
        scene.send(200, seconds=5)
        scene.wait(lambda: scene.release.wanted() > 0, "a first pod is wanted", 15)
        ends(scene, within_s=250)
        assert scene.timeline.paid_s <= 2.6 * scene.work_s


def test_few_long_jobs_get_many_pods_and_none_is_taken_from_them(imitated):
    with Scene(imitated, "long-40x150s", comfyui, at("runtime.scaling.secondsPerJob", 150)) as scene:
        scene.send(40, seconds=150)
        ends(scene, within_s=720)
        assert scene.timeline.paid_s <= 1.5 * scene.work_s


def test_steady_work_empties_its_queue_and_orders_no_more_than_it_needs(imitated):
    with Scene(imitated, "rate-67-a-minute-5s", comfyui) as scene:
        sending = scene.keep_sending(1.12, seconds=5, for_s=720)
        scene.wait(lambda: scene.agents.done > 0, "a first job is done", 200)
        scene.wait(lambda: scene.aws.depth(scene.queue)[0] == 0, "no job waits", 600)
        sending.join()
        ends(scene, within_s=200)
        assert scene.timeline.max_wanted <= 9


def test_while_the_scaler_is_away_the_tasks_number_decides_and_then_the_scaler_again(imitated):
    with Scene(imitated, "scaler-away", comfyui) as scene:
        scene.send(40, seconds=10)
        scene.wait(lambda: scene.release.wanted() > 1, "the scaler has spoken", 60)
        scene.scaler.stop()
        scene.wait(is_unread(scene, imitated, "wanted"), "KEDA does without the scaler", 60)
        scene.send(80, seconds=10)
        scene.wait(lambda: scene.release.wanted() == 12, "a pod is wanted for every ten tasks", 90)
        scene.scaler.start()
        scene.wait(
            lambda: not imitated.control_plane.unread_triggers(scene.release.namespace), "KEDA has the scaler again", 60
        )
        ends(scene, within_s=400)


def test_a_runtime_at_zero_starts_while_the_scaler_is_away(imitated):
    with Scene(imitated, "scaler-away-at-zero", comfyui) as scene:
        scene.scaler.stop()
        scene.wait(is_unread(scene, imitated, "wanted"), "KEDA does without the scaler", 60)
        scene.send(1, seconds=5)
        scene.wait(lambda: scene.release.wanted() == 1, "a pod is wanted", 30)
        ends(scene, within_s=200)
