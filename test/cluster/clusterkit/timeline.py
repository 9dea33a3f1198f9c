"""What happens to one release, a line each few seconds, printed and kept in a file."""

import threading
import time
from collections import Counter
from dataclasses import dataclass

from clusterkit.agents import is_ready

_EVERY_S = 5


@dataclass(frozen=True)
class Moment:
    """What stands in one line."""

    at_s: float
    sent: int
    done: int
    visible: int
    in_flight: int
    wanted: int
    pods: Counter
    nodes: int
    interrupted: int
    taken_busy: int

    def __str__(self):
        pods = ", ".join(f"{count} {state}" for state, count in sorted(self.pods.items())) or "none"
        return (
            f"{self.at_s:5.0f} s  sent {self.sent:4}  done {self.done:4}  waiting {self.visible:4}  in flight "
            f"{self.in_flight:3}  wanted {self.wanted:3}  nodes {self.nodes:3}  pods: {pods}"
            + (f"  interrupted {self.interrupted}" if self.interrupted else "")
        )


def state_of(pod):
    if "deletionTimestamp" in pod["metadata"]:
        return "leaving"
    if not pod["spec"].get("nodeName"):
        return "unscheduled"
    return "ready" if is_ready(pod) else "starting"


class Timeline(threading.Thread):
    """Looks and prints until ``stop``; ``moments`` are what it has seen."""

    def __init__(self, title, scene, path):
        super().__init__(name=f"timeline of {title}", daemon=True)
        self._scene = scene
        self._path = path
        self._began_s = time.monotonic()
        self._stopped = threading.Event()
        self.moments = []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self._print(f"\n== {title}")

    def run(self):
        while not self._stopped.wait(_EVERY_S):
            self._look()

    @property
    def last(self):
        return self.moments[-1] if self.moments else "nothing"

    def note(self, words):
        """Put words of the test between the lines."""
        self._print(f"{time.monotonic() - self._began_s:5.0f} s  -- {words}")

    def stop(self):
        self._stopped.set()
        self.join(60)

    def _look(self):
        scene = self._scene
        visible, in_flight = scene.aws.depth(scene.queue)
        moment = Moment(
            at_s=time.monotonic() - self._began_s,
            sent=scene.sent,
            done=scene.agents.done,
            visible=visible,
            in_flight=in_flight,
            wanted=scene.release.wanted(),
            pods=Counter(state_of(pod) for pod in scene.release.pods()),
            nodes=len(scene.release.node_claims()) if scene.has_karpenter else len(scene.kube.list("nodes")),
            interrupted=scene.agents.interrupted,
            taken_busy=scene.agents.taken_busy,
        )
        self.moments.append(moment)
        self._print(str(moment))

    def _print(self, line):
        print(line, flush=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line.strip(chr(10))}\n")
