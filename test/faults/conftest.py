"""AWS, proxies, stand-ins and agents as real processes; the pieces are in faultkit/."""

import contextlib
import os
import sys
from pathlib import Path

import pytest

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))

from faultkit.aws import Aws
from faultkit.lanes import Kit, Lanes
from faultkit.proxy import Network


def pytest_collection_modifyitems(config, items):
    """Long forms run only when they are asked for: ``-m slow``. They are no skipped tests: their short forms run."""
    if "slow" in config.option.markexpr:
        return
    here = Path(__file__).parent
    long_forms = [item for item in items if item.get_closest_marker("slow") and here in item.path.parents]
    config.hook.pytest_deselected(items=long_forms)
    items[:] = [item for item in items if item not in long_forms]


@pytest.fixture(scope="session")
def seed():
    """Of all randomness; failed tests show it, FAULTS_SEED sets it."""
    value = int(os.environ.get("FAULTS_SEED", "20240607"))
    print(f"FAULTS_SEED={value}")
    return value


@pytest.fixture(scope="session")
def kit(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("faults")
    input_png = (Path(__file__).parents[1] / "input.png").read_bytes()
    with contextlib.ExitStack() as stack:
        network, aws = (stack.enter_context(contextlib.closing(one)) for one in (Network(), Aws(folder)))
        yield Kit(aws, network, folder, input_png, seed)


@pytest.fixture(scope="session")
def endings(request, kit):
    """How the cases of all selected tests end, by case; they run side by side."""
    with contextlib.closing(Lanes(request.session.items, kit)) as lanes:
        yield lanes


@pytest.fixture
def make_runtime(kit):
    """Make runtimes of one's own."""
    with contextlib.ExitStack() as stack:
        yield lambda runtime_type, **options: stack.enter_context(kit.runtime(runtime_type, **options))
