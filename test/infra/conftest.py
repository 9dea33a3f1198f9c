"""Makes the kit importable, and the stacks and the deployment available."""

import contextlib
import sys
from pathlib import Path

import pytest

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def stack():
    """With defaults."""
    from infrakit.stacks import platform

    return platform()


@pytest.fixture(scope="session")
def configured():
    """With settings other than the defaults: ``infrakit.stacks.SETTINGS``."""
    from infrakit.stacks import SETTINGS, platform

    return platform(**SETTINGS)


@pytest.fixture(scope="session")
def watched():
    """With alarms that are sent, and runtimes and zones that differ in all else: ``infrakit.stacks.WATCHED``."""
    from infrakit.stacks import WATCHED, platform

    return platform(**WATCHED)


@pytest.fixture(scope="session")
def deployed(stack):
    """The queues, topics, tables and buckets of a stack on moto."""
    from infrakit.cloud import Deployment

    with contextlib.closing(Deployment(stack)) as deployed:
        yield deployed


def pytest_addoption(parser):
    parser.addoption("--write-snapshots", action="store_true", help="take today's stacks for right")
