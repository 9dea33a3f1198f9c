"""Runs tests of rigs concurrently, because they mostly wait, and provides their kit. Conftests import it.

Tests with the marker ``concurrent`` start in threads as soon as the kit exists, in the order of collection, and pytest
waits for each in turn. Such a test takes ``kit`` and parameters, but no other fixture. Its return value is printed as
its report.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from test.kit.rig import Kit

WORKERS = 8
"""More would use up an agent's grace and its leases of some seconds on two slow cores."""
_FUTURES = pytest.StashKey[dict[pytest.Item, Future[object]]]()


@pytest.fixture(scope="session")
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """The kit of the whole run; FAULTS_SEED sets its seed."""
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="test")
    with Kit(tmp_path_factory.mktemp("kit"), seed=int(os.environ.get("FAULTS_SEED", "20240607"))) as kit:
        request.session.stash[_FUTURES] = {
            item: pool.submit(item.obj, kit=kit, **(item.callspec.params if hasattr(item, "callspec") else {}))
            for item in request.session.items
            if isinstance(item, pytest.Function) and _is_concurrent(item)
        }
        yield kit
        pool.shutdown(cancel_futures=True)  # after an interruption, no more tests start


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a concurrent test."""
    future = pyfuncitem.session.stash.get(_FUTURES, {}).get(pyfuncitem)
    if future is None:
        return None
    report = future.result()
    if report is not None:
        print(report)
    return True


def _is_concurrent(item: pytest.Function) -> bool:
    is_skipped = any(mark.args[0] for mark in item.iter_markers("skipif"))
    return item.get_closest_marker("concurrent") is not None and not is_skipped
