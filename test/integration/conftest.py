"""Real processes, and code of ours that talks to a real server of AWS's API."""

import pytest

from test.kit.concurrency import kit, pytest_pyfunc_call

__all__ = ["kit", "pytest_pyfunc_call"]


@pytest.fixture(scope="session")
def aws(kit):
    return kit.aws
