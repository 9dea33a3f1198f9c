"""Each test has a rig of its own; they run beside each other."""

from test.kit.concurrency import kit, pytest_pyfunc_call

__all__ = ["kit", "pytest_pyfunc_call"]
