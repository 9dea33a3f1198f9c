"""A release with its queue, its agents and its timeline: what the scaling tests play on."""

import time

from clusterkit.agents import Agents, job
from clusterkit.programs import HOME, wait_for
from clusterkit.releases import Release
from clusterkit.timeline import Timeline, state_of

from test.kit.charts import merged


class Scene:
    """One runtime from its installation to its removal; a context manager."""

    def __init__(self, cluster, name, values, *changes, has_karpenter=True):
        self.aws = cluster.aws
        self.kube = cluster.kube
        self.has_karpenter = has_karpenter
        self._cluster = cluster
        self.queue = self.aws.queue(name)
        self.sent = 0
        self.release = Release(self.kube, name, cluster.scratch, merged(values(self.queue), *changes))
        self.agents = Agents(self.aws, self.release, self.queue)
        self.timeline = Timeline(name, self, HOME / "timelines" / f"{name}.txt")

    def __enter__(self):
        self.release.deploy()
        self.agents.start()
        self.timeline.start()
        return self

    def __exit__(self, *exc_info):
        self.timeline.stop()
        self.agents.stop()
        self.release.remove()

    def send(self, count, *, seconds):
        self.timeline.note(f"{count} jobs of {seconds} s are sent")
        self.sent += count
        self.aws.send(self.queue, [job(seconds)] * count)

    def wait(self, condition, what, timeout_s):
        """Wait for what a test wants to see, while all programs run."""

        def holds():
            self._cluster.check()
            self.agents.check()
            assert self.timeline.is_alive(), "the timeline has ended"
            return condition()

        wait_for(holds, lambda: f"{what}; last seen: {self.timeline.last}", timeout_s)
        self.timeline.note(what)

    def stays(self, condition, what, seconds):
        """See that something holds for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert condition(), f"no longer: {what}; last seen: {self.timeline.last}"
            time.sleep(1)
        self.timeline.note(f"for {seconds} s: {what}")

    def states(self):
        """The state of each pod."""
        return [state_of(pod) for pod in self.release.pods()]

    def ready(self):
        """How many pods work or could."""
        return self.states().count("ready")
