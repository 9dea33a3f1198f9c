"""A release with its queue, its agents and its timeline: what the scaling tests play on."""

import contextlib
import threading
import time

import httpx
from clusterkit.agents import Agents, job
from clusterkit.programs import HOME, wait_for
from clusterkit.releases import Release
from clusterkit.scaler import Scaler
from clusterkit.timeline import Timeline, state_of

from test.kit.charts import at, merged
from test.kit.processes import HTTP


class Scene:
    """One runtime from its installation to its removal; a context manager.

    Without ``has_scaler`` the number of tasks alone decides how many pods there are.
    """

    def __init__(self, cluster, name, values, *changes, has_karpenter=True, has_scaler=True):
        self.aws = cluster.aws
        self.kube = cluster.kube
        self.has_karpenter = has_karpenter
        self._cluster = cluster
        self.queue = self.aws.queue(name)
        self.sent = 0
        self.work_s = 0.0
        """Seconds that all sent jobs take on a GPU."""
        self.scaler = Scaler(self.aws, name, self.queue, cluster.scratch) if has_scaler else None
        scaler_url = at("runtime.scaling.scalerUrl", self.scaler.url if has_scaler else "")
        self.release = Release(self.kube, name, cluster.scratch, merged(values(self.queue), scaler_url, *changes))
        self.agents = Agents(self.aws, self.release, self.queue)
        self.timeline = Timeline(name, self, HOME / "timelines" / f"{name}.txt")

    def __enter__(self):
        if self.scaler is not None:
            self.scaler.start()
        self.release.deploy()
        self.agents.start()
        self.timeline.start()
        return self

    def __exit__(self, *exc_info):
        self.timeline.stop()
        self.agents.stop()
        self.release.remove()
        if self.scaler is not None:
            self.scaler.stop()

    def send(self, count, *, seconds):
        self.timeline.note(f"{count} jobs of {seconds} s are sent")
        self._send(count, seconds)

    def keep_sending(self, per_s, *, seconds, for_s):
        """Send jobs at a steady rate, as time goes on; gives the thread that does it."""
        self.timeline.note(f"{per_s} jobs of {seconds} s are sent each second, for {for_s} s")
        thread = threading.Thread(target=self._keep_sending, args=(per_s, seconds, for_s), daemon=True)
        thread.start()
        return thread

    def _keep_sending(self, per_s, seconds, for_s):
        began = time.monotonic()
        sent = 0
        while (passed := time.monotonic() - began) < for_s:
            due = int(passed * per_s) - sent
            self._send(due, seconds)
            sent += due
            time.sleep(0.5)

    def _send(self, count, seconds):
        self.sent += count
        self.work_s += count * seconds
        self.aws.send(self.queue, [job(seconds)] * count)

    def wait(self, condition, what, timeout_s):
        """Wait for what a test wants to see, while all programs run."""

        def holds():
            self._cluster.check()
            self.agents.check()
            assert self.scaler is None or self.scaler.check()
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

    def scaler_says(self):
        """What KEDA gets for its question, or None."""
        url = self.release.scaler_question()
        with contextlib.suppress(httpx.HTTPError):
            answer = HTTP.get(url) if url else None
            return answer.json() if answer is not None and answer.is_success else None
        return None

    def states(self):
        """The state of each pod."""
        return [state_of(pod) for pod in self.release.pods()]

    def ready(self):
        """How many pods work or could."""
        return self.states().count("ready")
