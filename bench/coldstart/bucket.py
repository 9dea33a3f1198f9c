"""A file that is read as slowly as Mountpoint delivers it: ``python -m bench.coldstart.bucket MODEL COPY MB_S MB_S``.

The two rates are those of the network, which all readers share, and of one reader.
"""

import io
import sys
import threading
import time
from pathlib import Path, PosixPath
from typing import Any

from runtimes import read_ahead

_MB = 1e6
_PIECE_BYTES = 1 << 20


class _Rate:
    """Lets bytes pass at a rate."""

    def __init__(self, bytes_a_second: float) -> None:
        self._bytes_a_second = bytes_a_second
        self._due_s = time.monotonic()
        self._lock = threading.Lock()

    def due_s(self, count: int) -> float:
        """When so many further bytes have passed."""
        with self._lock:
            self._due_s = max(self._due_s, time.monotonic()) + count / self._bytes_a_second
            return self._due_s


class _SlowFile(io.FileIO):
    def __init__(self, path: Path, network: _Rate, reader: _Rate) -> None:
        super().__init__(path, "rb")
        self._rates = (network, reader)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_PIECE_BYTES), b""))
        content = super().read(size)
        due_s = max(rate.due_s(len(content)) for rate in self._rates)
        time.sleep(max(due_s - time.monotonic(), 0))
        return content


class _SlowPath(PosixPath):
    network: _Rate
    reader_bytes_a_second: float

    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode != "rb":
            return super().open(mode, *arguments, **options)
        return _SlowFile(self, type(self).network, _Rate(type(self).reader_bytes_a_second))


def throttled(path: Path, network_mb_s: str, reader_mb_s: str) -> Path:
    """Give the path of a file that is read at these rates."""
    _SlowPath.network, _SlowPath.reader_bytes_a_second = _Rate(float(network_mb_s) * _MB), float(reader_mb_s) * _MB
    return _SlowPath(path)


if __name__ == "__main__":
    source, target, *rates = sys.argv[1:]
    sys.exit(0 if read_ahead.copy(throttled(Path(source), *rates), Path(target)) else 1)
