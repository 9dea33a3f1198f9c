"""Makes the kits importable and the stacks and the deployment available."""

import contextlib
import sys
from pathlib import Path

import pytest

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def stack():
    """With defaults."""
    from infrakit.stacks import platform

    return platform()


@pytest.fixture(scope="session")
def closed():
    """With a key and a mirror of the operator's, no public endpoint, an administrator and a folder of models."""
    from infrakit.stacks import KEY_ARN, MIRROR, platform

    cluster = {"publicAccessCidrs": [], "adminArns": ["arn:aws:iam::123456789012:role/admin"]}
    return platform(kmsKeyArn=KEY_ARN, mirrorRegistry=MIRROR, cluster=cluster, modelsPrefix="v2/")


@pytest.fixture(scope="session")
def deployed(stack):
    """The queues, topics, tables and buckets of a stack on moto."""
    from infrakit.cloud import Cloud, Deployment

    with contextlib.closing(Cloud()) as cloud:
        yield Deployment(cloud, stack)


def pytest_addoption(parser):
    parser.addoption("--write-snapshots", action="store_true", help="take today's stacks for right")
