"""The chart as it is installed, upgraded and removed: by helm, as CDK's handler does it, with the values of CDK."""

import dataclasses
import subprocess
from pathlib import Path

import yaml

from configuration.config import parse_config
from configuration.images import pod_images
from configuration.release_values import release_values
from test.kit.charts import merged, resources_of, tool

CHART = Path("charts/sd-on-eks")
CONFIGS = (Path("config.yaml"), *sorted(Path("examples/configs").glob("*.yaml")))


def _read(path):
    return parse_config(yaml.safe_load(path.read_text(encoding="utf-8")))


@dataclasses.dataclass(frozen=True)
class Example:
    """A runtime of an example configuration that the project's own chart serves."""

    config: Path
    name: str

    def values(self, queue_url):
        """What CDK computes for it."""
        config = _read(self.config)
        (runtime,) = [runtime for runtime in config.models_runtime if runtime.name == self.name]
        tags = {image.source.name: "rig" for image in pod_images(config, runtime)}
        return release_values(config, runtime, resources_of(queue_url, runtime.name), image_tags=tags)

    def __str__(self):
        return f"{self.config.stem}-{self.name}"


def examples():
    """Every runtime of every example configuration with a cluster, but those of an operator's own chart."""
    return [
        Example(path, runtime.name)
        for path in CONFIGS
        if _read(path).has_cluster
        for runtime in _read(path).enabled_runtimes
        if runtime.chart_repository is None
    ]


def comfyui(queue_url):
    """Values of config.yaml's ComfyUI runtime."""
    return Example(Path("config.yaml"), "comfyruntime").values(queue_url)


def stacks():
    """Names by which the examples' nodes find their network."""
    return sorted({_read(path).cloudformation_stack for path in CONFIGS})


class Release:
    """One release of the chart, in a namespace of its own name."""

    def __init__(self, kube, name, scratch, values):
        self.kube = kube
        self.name = self.namespace = name
        self._values_file = scratch / f"{name}.yaml"
        self.values = values

    def install(self, *changes, options=()):
        """Install or upgrade with changes of the values; gives the finished process."""
        self._values_file.write_text(yaml.safe_dump(merged(self.values, *changes)))
        options = ("--install", "--create-namespace", "--values", self._values_file, *options)
        return self._helm("upgrade", self.name, CHART, *options)

    def deploy(self, *changes):
        """Install or upgrade, which must succeed."""
        done = self.install(*changes)
        assert done.returncode == 0, done.stderr
        return self

    def remove(self):
        """Remove it, then its namespace."""
        done = self._helm("uninstall", self.name, "--ignore-not-found")
        assert done.returncode == 0, done.stderr
        self.kube.delete("namespaces", self.namespace)

    @property
    def manifest(self):
        """What helm has sent, document by document."""
        done = self._helm("get", "manifest", self.name)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def named(self, kind):
        """Name of the object of a kind; of several that of the first, which is the NodePool of all instance types."""
        return min(document["metadata"]["name"] for document in self.manifest if document["kind"] == kind)

    def pods(self):
        return self.kube.list("pods", self.namespace, labels=f"app.kubernetes.io/instance={self.name}")

    def deployment(self):
        return self.kube.get("deployments", self.name, self.namespace)

    def wanted(self):
        """How many pods the deployment is to have."""
        found = self.deployment()
        return found["spec"].get("replicas", 1) if found else 0

    def scaler_question(self):
        """The URL by which KEDA asks the scaler, or None."""
        found = self.kube.list("scaledobjects", self.namespace)
        urls = [one["metadata"].get("url") for each in found for one in each["spec"]["triggers"]]
        return next(filter(None, urls), None)

    def node_claims(self):
        pool = f"{self.namespace}-{self.name}"
        return self.kube.list("nodeclaims", labels=f"karpenter.sh/nodepool in ({pool},{pool}.preferred)")

    def condition(self, kind, name, condition, namespace=None):
        """The status of a condition, as "True", and its message."""
        found = self.kube.get(kind, name, namespace) or {}
        for entry in found.get("status", {}).get("conditions", []):
            if entry["type"] == condition:
                return entry["status"], entry.get("message", "")
        return None, "there is no such condition"

    def _helm(self, *arguments):
        options = ("--kubeconfig", self.kube.kubeconfig, "--namespace", self.namespace)
        return subprocess.run([tool("helm"), *arguments, *options], capture_output=True, text=True, check=False)
