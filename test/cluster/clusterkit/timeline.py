"""What happens to one release, a line each few seconds, printed and kept in a file."""

import threading
import time
from collections import Counter
from datetime import datetime

from clusterkit.agents import is_ready

_EVERY_S = 5


def state_of(pod):
    if "deletionTimestamp" in pod["metadata"]:
        return "leaving"
    if not pod["spec"].get("nodeName"):
        return "unscheduled"
    return "ready" if is_ready(pod) else "starting"


class Timeline(threading.Thread):
    """Looks and prints until ``stop``.

    Attributes:
        last: The last line.
        max_wanted: The most pods that were wanted.
    """

    def __init__(self, title, scene, path):
        super().__init__(name=f"timeline of {title}", daemon=True)
        self._scene = scene
        self._path = path
        self._began_s = time.monotonic()
        self._stopped = threading.Event()
        self.last = "nothing"
        self.max_wanted = 0
        self._nodes = {}
        """When each node was ordered, and when it was last there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self._print(f"\n== {title}")

    def run(self):
        while not self._stopped.wait(_EVERY_S):
            self._look()

    def note(self, words):
        """Put words of the test between the lines."""
        self._print(f"{time.monotonic() - self._began_s:5.0f} s  -- {words}")

    def stop(self):
        self._stopped.set()
        self.join(60)
        if self._nodes:
            self._print(f"{self.paid}")

    @property
    def paid_s(self):
        """Seconds that all nodes have lived, from their order to their end."""
        return sum(last_s - ordered_s for ordered_s, last_s in self._nodes.values())

    @property
    def paid(self):
        """What was paid for the work, in words."""
        work_s = self._scene.work_s
        ratio = f", {self.paid_s / work_s:.2f} for each" if work_s else ""
        return f"{len(self._nodes)} nodes lived {self.paid_s:.0f} s for {work_s:.0f} s of work{ratio}"

    def _look(self):
        scene, at_s = self._scene, time.monotonic() - self._began_s
        visible, in_flight = scene.aws.depth(scene.queue)
        wanted = scene.release.wanted()
        states = Counter(scene.states())
        pods = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
        nodes = scene.release.node_claims() if scene.has_karpenter else scene.kube.list("nodes")
        for node in nodes if scene.has_karpenter else ():
            ordered = datetime.fromisoformat(node["metadata"]["creationTimestamp"]).timestamp()
            self._nodes[node["metadata"]["name"]] = (ordered, time.time())
        says = scene.scaler_says() if scene.scaler is not None else None
        scaler = (
            "none" if says is None else "{pods} for {waiting_s:.0f} s, {running} run, {booting} boot".format(**says)
        )
        interrupted = f"  interrupted {scene.agents.interrupted}" if scene.agents.interrupted else ""
        self.max_wanted = max(self.max_wanted, wanted)
        self.last = (
            f"{at_s:5.0f} s  sent {scene.sent:4}  done {scene.agents.done:4}  waiting {visible:4}  in flight "
            f"{in_flight:3}  wanted {wanted:3}  nodes {len(nodes):3}  pods: {pods}{interrupted}"
            f"  scaler: {scaler}"
        )
        self._print(self.last)

    def _print(self, line):
        print(line, flush=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line.strip(chr(10))}\n")
