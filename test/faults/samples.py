"""What processes take over time: memory, open files and sockets, from /proc."""

import statistics
import threading
from dataclasses import dataclass
from pathlib import Path

_MB = 1024 * 1024
_GROWTH_SHARE, _GROWTH_MB = 0.05, 5
_MORE_SOCKETS = 8
"""Connections are kept; a rare moment with more calls at a time leaves more of them."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One process at one moment."""

    memory_mb: float
    files: int
    sockets: int

    @classmethod
    def of(cls, pid):
        folder = Path(f"/proc/{pid}")
        (memory,) = (line for line in (folder / "status").read_text().splitlines() if line.startswith("VmRSS:"))
        targets = [_target(link) for link in (folder / "fd").iterdir()]
        sockets = sum(target.startswith("socket:") for target in targets)
        return cls(memory_mb=int(memory.split()[1]) * 1024 / _MB, files=len(targets), sockets=sockets)


def _target(link):
    try:
        return str(link.readlink())
    except OSError:  # closed meanwhile
        return ""


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
            self._samples.append(Sample.of(self._pid))

    def close(self):
        self._over.set()
        self.join(10)

    def table(self):
        """Medians of each quarter of the time, for people."""
        lines = [f"{'quarter':>9} {'MB':>7} {'files':>6} {'sockets':>8}"]
        for number in range(1, 5):
            values = [self._median(name, number) for name in ("memory_mb", "files", "sockets")]
            lines.append("{:>9} {:7.1f} {:6.0f} {:8.0f}".format(number, *values))
        return "\n".join(lines)

    def growth(self):
        """What has grown between the second quarter, after the warm-up, and the last one."""
        if self._median("memory_mb", 4) > (1 + _GROWTH_SHARE) * self._median("memory_mb", 2) + _GROWTH_MB:
            yield "memory"
        for name in ("files", "sockets"):
            if self._median(name, 4) > self._median(name, 2) + _MORE_SOCKETS:
                yield name

    def _median(self, name, number):
        size = len(self._samples) // 4
        assert size, "too few samples"
        return statistics.median(getattr(one, name) for one in self._samples[(number - 1) * size : number * size])
