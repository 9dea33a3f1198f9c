import sys
from pathlib import Path

import pytest

# No package: test modules find what they share by its own name.
sys.path.insert(0, str(Path(__file__).parent))

from driverkit import task_of


@pytest.fixture(scope="session")
def make_task():
    return task_of
