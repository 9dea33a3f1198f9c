"""The limits of a key: how many requests it may send."""

import pytest

from api.limits import TokenBucket


@pytest.mark.parametrize(
    ("rate", "burst", "pause_s", "passed"), [(30, 50, 0.5, 15), (30, 50, 3600, 50), (0.5, 1, 1, 0), (0.5, 1, 2, 1)]
)
def test_a_throttle_that_is_used_up_lets_requests_through_again_at_its_rate_up_to_its_burst(
    rate, burst, pause_s, passed
):
    now = 0.0
    bucket = TokenBucket(rate=rate, burst=burst, clock=lambda: now)
    assert sum(bucket.take() for _ in range(1000)) == burst
    now += pause_s
    assert sum(bucket.take() for _ in range(1000)) == passed
