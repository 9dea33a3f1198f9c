"""What processes take over time: memory, open files and sockets, from /proc."""

import contextlib
import statistics
import threading
from pathlib import Path

_GROWTH_SHARE, _GROWTH_MB = 0.05, 5
_MORE_SOCKETS = 8
"""Connections are kept; a rare moment with more calls at a time leaves more of them."""
_NAMES = ("memory_mb", "files", "sockets")


def _sample(pid):
    folder, targets = Path(f"/proc/{pid}"), []
    (memory,) = (line for line in (folder / "status").read_text().splitlines() if line.startswith("VmRSS:"))
    for link in (folder / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            targets.append(str(link.readlink()))
    return int(memory.split()[1]) / 1024, len(targets), sum(target.startswith("socket:") for target in targets)


class Samples(threading.Thread):
    """Samples one process until closed."""

    def __init__(self, pid, every_s):
        super().__init__(name="samples", daemon=True)
        self._pid = pid
        self._every_s = every_s
        self._over = threading.Event()
        self._samples = []
        self.start()

    def run(self):
        while not self._over.wait(self._every_s):
            self._samples.append(_sample(self._pid))

    def close(self):
        self._over.set()
        self.join(10)

    def table(self):
        """Medians of each quarter of the time, for people."""
        lines = [f"{'quarter':>9} {'MB':>7} {'files':>6} {'sockets':>8}"]
        lines += ["{:>9} {:7.1f} {:6.0f} {:8.0f}".format(number, *self._medians(number)) for number in range(1, 5)]
        return "\n".join(lines)

    def growth(self):
        """What has grown between the second quarter, after the warm-up, and the last one."""
        before, after = self._medians(2), self._medians(4)
        limits = ((1 + _GROWTH_SHARE) * before[0] + _GROWTH_MB, *(one + _MORE_SOCKETS for one in before[1:]))
        return [name for name, value, limit in zip(_NAMES, after, limits, strict=True) if value > limit]

    def _medians(self, quarter):
        size = len(self._samples) // 4
        assert size, "too few samples"
        return [
            statistics.median(values)
            for values in zip(*self._samples[(quarter - 1) * size : quarter * size], strict=True)
        ]
