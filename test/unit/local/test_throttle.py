from local.gateway import TokenBucket


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(bucket: TokenBucket, tries: int) -> int:
    return sum(bucket.take() for _ in range(tries))


def test_a_fresh_bucket_lets_its_burst_through_and_no_more() -> None:
    assert taken(TokenBucket(rate=30, burst=50, clock=Clock()), 200) == 50


def test_tokens_come_back_at_the_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=30, burst=50, clock=clock)
    taken(bucket, 50)
    clock.now += 0.5
    assert taken(bucket, 100) == 15


def test_an_idle_bucket_never_holds_more_than_its_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=30, burst=50, clock=clock)
    clock.now += 3600
    assert taken(bucket, 1000) == 50


def test_a_rate_below_one_a_second_still_fills_the_bucket() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=0.5, burst=1, clock=clock)
    assert taken(bucket, 5) == 1
    clock.now += 1
    assert taken(bucket, 5) == 0
    clock.now += 1
    assert taken(bucket, 5) == 1
