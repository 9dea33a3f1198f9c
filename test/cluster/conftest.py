"""A control plane of real programs, or the cluster of KUBECONFIG."""

import os
import signal
import sys
import uuid
from pathlib import Path

import pytest

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))

from clusterkit.aws import Aws
from clusterkit.control_plane import ControlPlane
from clusterkit.kube import Kube
from clusterkit.nodes import ModelDriver
from clusterkit.programs import HOME, build
from clusterkit.releases import Release, stacks

GIVEN = os.environ.get("KUBECONFIG")
TYPES = ("scaledobjects.keda.sh", "nodepools.karpenter.sh", "ec2nodeclasses.karpenter.k8s.aws")


class Imitated:
    """The programs of .local/cluster with the imitated AWS."""

    is_imitated = True

    def __init__(self, scratch):
        build()
        self.scratch = scratch
        self.aws = Aws(scratch, stacks())
        try:
            self.control_plane = ControlPlane(scratch, self.aws)
        except BaseException:
            self.aws.close()
            raise
        self.kube = self.control_plane.kube
        self._driver = ModelDriver(self.kube)
        self._driver.start()

    def queue(self, name):
        return self.aws.queue(name)

    def check(self):
        return self.aws.check() and self.control_plane.check()

    def close(self):
        self._driver.stop()
        self.control_plane.stop()
        self.aws.close()


class Given:
    """The cluster of KUBECONFIG, with KEDA's and Karpenter's resource types; no pod of ours runs there."""

    is_imitated = False

    def __init__(self, scratch):
        self.scratch = scratch
        self.kube = Kube(GIVEN, scratch)
        missing = [kind for kind in TYPES if self.kube.kubectl("get", "customresourcedefinition", kind).returncode]
        assert not missing, f"the cluster of KUBECONFIG lacks {', '.join(missing)}: install KEDA and Karpenter there"

    def queue(self, name):
        return f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}"

    def check(self):
        return True

    def close(self):
        self.kube.close()


@pytest.fixture(scope="session")
def cluster():
    """The cluster."""
    # The programs are no children of the terminal: whatever ends the tests must come by here.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scratch = HOME / "runs" / uuid.uuid4().hex[:8]
    scratch.mkdir(parents=True)
    print(f"\nLogs of the programs: {scratch}", flush=True)
    cluster = Given(scratch) if GIVEN else Imitated(scratch)
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def imitated(cluster):
    """The cluster, where pods start and instances are launched as the tests want it."""
    if not cluster.is_imitated:
        pytest.skip("needs the imitated EC2 and kubelets; KUBECONFIG is given")
    return cluster


@pytest.fixture
def install(cluster):
    """Install a release by name and values; it is removed at the end."""
    installed = []

    def install(name, values, *changes):
        release = Release(cluster.kube, name, cluster.scratch, values)
        installed.append(release)
        return release.deploy(*changes)

    yield install
    for release in installed:
        release.remove()
