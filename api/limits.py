"""What each API key may take of one process at once: requests, open calls, websockets, and the memory of bodies."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api.errors import ThrottledError

MAX_CALLS = 2000
"""Requests of a key that are at work at once: each that waits for a picture is one, for as long as it waits."""
MAX_SOCKETS = 100
"""Websockets of a key that are open at once; each looks at the table twice a second."""
MAX_BODY_BYTES = 128 * 1024**2
"""Bodies of a key that are in memory at once; a request that waits keeps its own."""


class TokenBucket:
    """API Gateway's throttle for a key: ``burst`` requests at once and ``rate`` a second in the long run."""

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def take(self) -> bool:
        """Take a token; False if none is left."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Limiter:
    """Counts what each tenant's requests take, and rejects what is beyond the limits; for one event loop.

    ``rate`` is in requests a second for each tenant; ``burst`` is how many may come at once. Requests without a key
    count as those of one tenant, without a rate. Each limit holds within a ``with`` statement, which raises
    ThrottledError where it is reached.
    """

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}
        self._taken: Counter[tuple[str, str | None]] = Counter()

    @contextmanager
    def call(self, tenant: str | None) -> Iterator[None]:
        """A request, until its answer is sent."""
        self._count(tenant)
        with self._take("calls", tenant, 1, MAX_CALLS):
            yield

    @contextmanager
    def socket(self, tenant: str) -> Iterator[None]:
        """A websocket, while it is open."""
        self._count(tenant)
        with self._take("websockets", tenant, 1, MAX_SOCKETS):
            yield

    @contextmanager
    def body(self, tenant: str, size_bytes: int) -> Iterator[None]:
        """A request's body, until its answer is sent; a single one may have any size."""
        with self._take("bytes of requests", tenant, size_bytes, MAX_BODY_BYTES):
            yield

    def _count(self, tenant: str | None) -> None:
        if tenant is None:
            return
        if tenant not in self._buckets:
            self._buckets[tenant] = TokenBucket(rate=self._rate, burst=self._burst)
        if not self._buckets[tenant].take():
            raise ThrottledError("Too many requests with this key; slow down.")

    @contextmanager
    def _take(self, what: str, tenant: str | None, amount: int, limit: int) -> Iterator[None]:
        taken = self._taken[what, tenant]
        if amount and taken and taken + amount > limit:
            whose = "Requests without a key have" if tenant is None else "This key has"
            raise ThrottledError(f"{whose} {taken} {what} open of at most {limit}; wait for the answers to some.")
        self._taken[what, tenant] += amount
        try:
            yield
        finally:
            self._taken[what, tenant] -= amount
