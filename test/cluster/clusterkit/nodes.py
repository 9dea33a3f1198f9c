"""What KWOK does in place of kubelets, nodes of a cluster without Karpenter, and the driver of the model volume."""

import threading

import yaml
from clusterkit.kube import ApiError

NODE_READY_S = 5
POD_READY_S = 10
POD_READY_JITTER_S = 5
DRIVER_TAINT = "s3.csi.aws.com/agent-not-ready"


def write_stages(folder, path):
    """Write KWOK's own stages with the rig's delays; gives the path.

    There is none for a pod's deletion: the imitated agents end their pods themselves, as containers do.
    """
    delays = {
        "node-initialize": {"durationMilliseconds": NODE_READY_S * 1000},
        "pod-ready": {
            "durationMilliseconds": POD_READY_S * 1000,
            "jitterDurationMilliseconds": (POD_READY_S + POD_READY_JITTER_S) * 1000,
        },
    }
    stages = [yaml.safe_load(file.read_text()) for file in sorted(folder.iterdir())]
    for stage in stages:
        if delay := delays.get(stage["metadata"]["name"]):
            stage["spec"]["delay"] = delay
    path.write_text(yaml.safe_dump_all(stages))
    return path


def gpu_node(name):
    """A node of a cluster without Karpenter: one GPU, and nothing that keeps pods away."""
    room = {"cpu": "4", "memory": "16Gi", "pods": "58", "ephemeral-storage": "80Gi", "nvidia.com/gpu": "1"}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "status": {"capacity": room, "allocatable": room},
    }


class ModelDriver(threading.Thread):
    """What the model volume's driver does on each new node: takes its taint away, until ``stop``."""

    def __init__(self, kube):
        super().__init__(name="model driver", daemon=True)
        self._kube = kube
        self._stopped = threading.Event()

    def run(self):
        while not self._stopped.wait(1):
            for node in self._kube.list("nodes"):
                self._ready_on(node)

    def stop(self):
        self._stopped.set()
        self.join(60)

    def _ready_on(self, node):
        taints = node["spec"].get("taints", [])
        kept = [taint for taint in taints if taint["key"] != DRIVER_TAINT]
        if kept == taints or any(taint["key"] == "karpenter.sh/unregistered" for taint in taints):
            return
        metadata = {"resourceVersion": node["metadata"]["resourceVersion"]}
        try:
            self._kube.patch("nodes", node["metadata"]["name"], {"metadata": metadata, "spec": {"taints": kept}})
        except ApiError as exc:
            if exc.status not in {404, 409}:  # gone, or changed meanwhile: looked at again soon
                raise
