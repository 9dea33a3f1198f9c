"""Makes the kit importable, and the stacks and the deployment available."""

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))
# CDK would copy 100 MB of bundles into each assembly. Its process reads this when it starts, as aws_cdk is imported.
os.environ.setdefault("CDK_CONTEXT_JSON", json.dumps({"aws:cdk:disable-asset-staging": True}))


def of_configuration(name):
    """A fixture: the stack of a configuration of ``stacks.yaml``."""

    @pytest.fixture(scope="session", name=name)
    def synthesized():
        from infrakit.stacks import Synthesized, config_of

        return Synthesized(config_of(name))

    return synthesized


stack, configured, watched, managed, lean, standard = map(
    of_configuration, ("stack", "configured", "watched", "managed", "lean", "standard")
)


@pytest.fixture(scope="session")
def deployed(stack):
    """The queues, topics, tables and buckets of a stack on moto."""
    from infrakit.cloud import Deployment

    with contextlib.closing(Deployment(stack)) as deployed:
        yield deployed


def pytest_addoption(parser):
    parser.addoption("--write-snapshots", action="store_true", help="take today's stacks for right")
