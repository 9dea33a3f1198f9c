"""Real processes, and code of ours that talks to a real server of AWS's API."""

import pytest

from runtimes.registry import RUNTIME_TYPES
from test.kit.concurrency import kit, pytest_pyfunc_call
from test.toy import managed, spec

__all__ = ["kit", "pytest_pyfunc_call"]


@pytest.fixture(scope="session")
def aws(kit):
    return kit.aws


@pytest.fixture(scope="module")
def toys():
    """The toys are registered, as in the processes that ``python -m test.toy`` starts."""
    toys = {one.name: one for one in (spec.SPEC, managed.SPEC)}
    RUNTIME_TYPES.update(toys)
    yield
    for name in toys:
        del RUNTIME_TYPES[name]
