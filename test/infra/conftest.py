"""Synthesizes constructs and whole stacks; Node is the one from the environment's own wheel."""

import contextlib
import json
import sys
from pathlib import Path

import pytest

from cdk.pinned_node import use_pinned_node

use_pinned_node()


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


# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def platform_template():
    """The template, as a dictionary, of everything but the cluster."""
    from infrakit.platform import config_of, template_text

    return json.loads(template_text(config_of()))


@pytest.fixture(scope="session")
def keyed_template():
    """The same with a key of the operator's."""
    from infrakit.platform import KEY_ARN, config_of, template_text

    return json.loads(template_text(config_of(kmsKeyArn=KEY_ARN)))


@pytest.fixture(scope="session")
def deployed(platform_template):
    """The template deployed on moto; gives its stack."""
    from infrakit.cloud import Cloud
    from infrakit.platform import config_of

    with contextlib.closing(Cloud()) as cloud:
        yield cloud.deploy(config_of().cloudformation_stack, json.dumps(platform_template))


def pytest_addoption(parser):
    parser.addoption("--write-snapshots", action="store_true", help="take today's stacks for right")
