import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from test.kit.notices import NoticeQueue
from test.kit.up import LocalUp


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalUp]:
    """A platform with the sample configuration, for the whole run."""
    up = LocalUp(tmp_path_factory.mktemp("platform"))
    try:
        up.wait_ready()
        yield up
    finally:
        up.end(signal.SIGTERM)


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[..., LocalUp]]:
    """Starts platforms that end with the test."""
    started: list[LocalUp] = []

    def start(*arguments: str) -> LocalUp:
        started.append(LocalUp(tmp_path / f"up{len(started)}", *arguments))
        return started[-1]

    yield start
    for up in started:
        up.end(signal.SIGKILL)


@pytest.fixture
def notices(platform: LocalUp) -> Iterator[NoticeQueue]:
    with NoticeQueue(platform.target) as queue:
        yield queue


@pytest.fixture
def small_config(tmp_path: Path) -> Path:
    """A configuration with one runtime, which starts quickly."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "stackName: small\n"
        "modelBucketArn: arn:aws:s3:::models\n"
        "APIGW: {stageName: prod, throttle: {rateLimit: 0.01, burstLimit: 3}}\n"
        "modelsRuntime:\n"
        "  - {name: only, namespace: only, type: sdwebui, dynamicModel: true}\n"
    )
    return path
