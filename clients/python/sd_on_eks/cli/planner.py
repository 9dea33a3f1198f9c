"""``sd plan``: hands over to the planner of the checkout of sd-on-eks that the current folder is in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sd_on_eks.errors import NotConfigured

PLANNER = Path("planning", "__main__.py")
_PYTHON = Path(".venv", "bin", "python")


def plan(arguments: Sequence[str]) -> int:
    """Run the planner, and return its exit code.

    Raises:
        NotConfigured: The folder is in no checkout, or the checkout has no environment yet.
    """
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / PLANNER).is_file()), None)
    if root is None:
        raise NotConfigured("sd plan needs a checkout of sd-on-eks, whose code it plans with: run it in there.")
    if not (root / _PYTHON).exists():
        raise NotConfigured(f"sd plan needs what the checkout installs: run `make .venv/stamps/deploy` in {root}.")
    # -P: what lies in the caller's folder may be called like a module.
    command = [str(root / _PYTHON), "-P", "-m", PLANNER.parent.name, *arguments]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(root)}, check=False).returncode  # noqa: S603
