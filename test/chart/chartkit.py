"""Values of releases, and what comes of them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path("charts/sd-on-eks")
_GIVEN = yaml.safe_load(Path(__file__).with_name("releases.yaml").read_text(encoding="utf-8"))
AWS, DYNAMIC, COMFYUI, FLUX, LOCAL_DISKS, ANYWHERE, FIXED, MANAGED = _GIVEN.values()
TOPIC, QUEUE = (AWS["runtime"]["queueAgent"][name] for name in ("snsTopicArn", "sqsQueueUrl"))
NAMES = (*_GIVEN, "china")
"""The releases that all tests share (``conftest.releases``)."""


@dataclass(frozen=True)
class Documents:
    """What a release consists of."""

    all: tuple[dict, ...]

    def __getitem__(self, kind):
        """The one document of a kind."""
        (found,) = [document for document in self.all if document["kind"] == kind]
        return found

    @property
    def kinds(self):
        return {document["kind"] for document in self.all}

    @property
    def pod(self):
        return self["Deployment"]["spec"]["template"]

    @property
    def agent(self):
        (container,) = self.pod["spec"]["containers"]
        return container

    @property
    def model_server(self):
        """None where a managed service runs the jobs."""
        named = {one["name"]: one for one in self.pod["spec"].get("initContainers", [])}
        assert named.keys() <= {"model-server", "model-copies"}
        return named.get("model-server")

    @property
    def containers(self):
        return [self.agent, *self.pod["spec"].get("initContainers", [])]


class StrictLoader(yaml.SafeLoader):
    """As Kubernetes reads YAML: a key that stands twice is a fault."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), (
            f"twice in one mapping: {sorted(key for key in keys if keys.count(key) > 1)}"
        )
        return super().construct_mapping(node, deep)


class Helm:
    """Runs helm; a release with the same values is rendered once."""

    def __init__(self, binary, scratch):
        self._binary = binary
        self._scratch = scratch
        self._rendered = {}

    def run(self, *arguments, values):
        """Give the finished process."""
        path = self._scratch / "values.yaml"
        path.write_text(yaml.safe_dump(values))
        command = [self._binary, *arguments, "--values", path]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def template(self, values, *, release="sdruntime", namespace="art", arguments=()):
        """Give the documents of a release."""
        command = ("template", release, CHART, "--namespace", namespace, *arguments)
        key = json.dumps([command, values], default=str)
        if key not in self._rendered:
            done = self.run(*command, values=values)
            assert done.returncode == 0, done.stderr
            documents = yaml.load_all(done.stdout, StrictLoader)
            self._rendered[key] = Documents(tuple(document for document in documents if document))
        return self._rendered[key]

    def refusal(self, values):
        """Give what is said about values that cannot be installed."""
        done = self.run("template", "sdruntime", CHART, values=values)
        assert done.returncode != 0, "was accepted"
        return done.stderr


def environment(container):
    """A container's plain variables."""
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
