"""Each setting of the chart can be changed by an upgrade."""

import json
from pathlib import Path

import pytest
import yaml
from clusterkit.aws import NODE_ROLE
from clusterkit.releases import CHART, Example, Release

from test.kit.charts import at, merged

OTHERWISE = yaml.safe_load(Path(__file__).with_name("settings.yaml").read_text(encoding="utf-8"))
"""Every setting with another value than its default's and the example's."""
ONE_VALUE = {"karpenter.nodeTemplate.amiFamily"}
"""Settings that have no other value."""


def _paths(schema, node, path=()):
    """Every setting in the schema, as ``a.b.c``."""
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    for option in node.get("anyOf", []):
        if "$ref" in option:
            yield from _paths(schema, option, path)
            return
    if not node.get("properties"):
        yield ".".join(path)
    for name, inner in node.get("properties", {}).items():
        yield from _paths(schema, inner, (*path, name))


def test_every_setting_is_tried():
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    tried = OTHERWISE.keys() | ONE_VALUE
    assert not [
        path for path in _paths(schema, schema) if not any(f"{path}.".startswith(f"{known}.") for known in tried)
    ]


@pytest.fixture(scope="module")
def release(cluster):
    """A runtime without work; each test begins with the settings of the one before."""
    name = "settings"
    example = Example(Path("config.yaml"), "sdruntime")
    inference = {"modelOptions": {"profile": "flux-schnell"}}
    extra = {"runtime": {"inferenceApi": inference, "persistence": {"mode": "mount"}}}
    release = Release(cluster.kube, name, cluster.scratch, merged(example.values(cluster.queue(name)), extra)).deploy()
    yield release
    release.remove()


@pytest.mark.parametrize("path", OTHERWISE)
def test_a_setting_is_changed_by_an_upgrade(release, path):
    done = release.install(at(path, OTHERWISE[path]))
    assert done.returncode == 0, done.stderr


def test_all_settings_go_back_at_once(release):
    release.deploy()
    assert NODE_ROLE in json.dumps(release.manifest)
