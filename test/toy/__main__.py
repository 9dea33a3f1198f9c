"""Run a part of the platform that knows the toys: ``python -m test.toy MODULE [argument …]``."""

import runpy
import sys

from runtimes.registry import RUNTIME_TYPES
from test.toy import managed, spec

# The lines that a type of the product has in runtimes/registry.py.
RUNTIME_TYPES["toy"] = spec.SPEC
RUNTIME_TYPES["toy-managed"] = managed.SPEC

sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
