"""Runs a part of the platform with the toys registered: ``python -m test.toy MODULE [argument …]``."""

import runpy
import sys

from runtimes.registry import RUNTIME_TYPES
from test.toy import managed, spec

# A real type has its line in runtimes/registry.py.
RUNTIME_TYPES["toy"] = spec.SPEC
RUNTIME_TYPES["toy-managed"] = managed.SPEC

sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
