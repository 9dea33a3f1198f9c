"""What happens to one release, a line each few seconds, printed and kept in a file."""

import threading
import time
from collections import Counter

from clusterkit.agents import is_ready

_EVERY_S = 5


def state_of(pod):
    if "deletionTimestamp" in pod["metadata"]:
        return "leaving"
    if not pod["spec"].get("nodeName"):
        return "unscheduled"
    return "ready" if is_ready(pod) else "starting"


class Timeline(threading.Thread):
    """Looks and prints until ``stop``; ``last`` is the last line, ``max_wanted`` the most pods that were wanted."""

    def __init__(self, title, scene, path):
        super().__init__(name=f"timeline of {title}", daemon=True)
        self._scene = scene
        self._path = path
        self._began_s = time.monotonic()
        self._stopped = threading.Event()
        self.last = "nothing"
        self.max_wanted = 0
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

    def _look(self):
        scene, at_s = self._scene, time.monotonic() - self._began_s
        visible, in_flight = scene.aws.depth(scene.queue)
        wanted = scene.release.wanted()
        states = Counter(scene.states())
        pods = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
        nodes = scene.release.node_claims() if scene.has_karpenter else scene.kube.list("nodes")
        interrupted = f"  interrupted {scene.agents.interrupted}" if scene.agents.interrupted else ""
        self.max_wanted = max(self.max_wanted, wanted)
        self.last = (
            f"{at_s:5.0f} s  sent {scene.sent:4}  done {scene.agents.done:4}  waiting {visible:4}  in flight "
            f"{in_flight:3}  wanted {wanted:3}  nodes {len(nodes):3}  pods: {pods}{interrupted}"
        )
        self._print(self.last)

    def _print(self, line):
        print(line, flush=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line.strip(chr(10))}\n")
