"""Tests with real agents run concurrently, each with a rig; the others have all parts in the process."""

from types import SimpleNamespace

import pytest

from local.sandbox import sandbox_environment
from test.faults.parts import Platform
from test.kit.concurrency import kit, pytest_pyfunc_call
from test.kit.web import posts_answered

__all__ = ["kit", "pytest_pyfunc_call"]


@pytest.fixture
def platform(kit, monkeypatch):
    # botocore waits before it tries again.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    for name, value in sandbox_environment(kit.aws.url).items():
        monkeypatch.setenv(name, value)
    made = []

    def receive(*request):
        return made[0].receive(*request)

    with posts_answered(receive) as url:
        made.append(Platform(kit, url, monkeypatch))
        yield made[0]
