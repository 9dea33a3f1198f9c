"""What a run takes of this machine and of the model server, sampled while it goes on."""

import threading
from functools import reduce
from typing import Self

import httpx
import psutil

from bench.editing.memory import Memory, read_memory
from bench.editing.results import Usage

_EVERY_S = 0.5
_TIMEOUT_S = 2.0


class ResourceSampler:
    """Samples while the context is open.

    Args:
        memory_urls: Where the model server tells of its memory, as bench.editing.memory reads it.
    """

    def __init__(self, memory_urls: list[str]) -> None:
        self._urls = memory_urls
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="resources", daemon=True)
        self._cpu: list[float] = []
        self._ram = 0
        self._server = Memory()

    def __enter__(self) -> Self:
        self._before = psutil.net_io_counters()
        psutil.cpu_percent()  # its first answer means nothing
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._after = psutil.net_io_counters()

    def usage(self) -> Usage:
        """What was taken; figures that nobody told are None. To be asked when the context is closed."""
        return Usage(
            cpu_percent=sum(self._cpu) / len(self._cpu) if self._cpu else None,
            ram_bytes=self._ram or None,
            sent_bytes=self._after.bytes_sent - self._before.bytes_sent,
            received_bytes=self._after.bytes_recv - self._before.bytes_recv,
            server_vram_bytes=round(self._server.vram) or None,
            server_ram_bytes=round(self._server.ram) or None,
        )

    def _sample(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._cpu.append(psutil.cpu_percent())
            self._ram = max(self._ram, psutil.virtual_memory().used)
            told = reduce(Memory.plus, map(self._told, self._urls), Memory())
            self._server = self._server.most(told)

    def _told(self, url: str) -> Memory:
        try:
            return read_memory(httpx.get(url, timeout=_TIMEOUT_S).text)
        except httpx.HTTPError:
            return Memory()
