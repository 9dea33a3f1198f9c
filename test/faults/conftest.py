"""Each test has its own rig; tests run concurrently."""

from test.kit.concurrency import kit, pytest_pyfunc_call

__all__ = ["kit", "pytest_pyfunc_call"]
