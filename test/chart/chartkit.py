"""Values of releases, and what comes of them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path("charts/sd-on-eks")
ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:notices"
QUEUE = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/sdoneksStack-sdruntime"

AWS = {
    "karpenter": {
        "nodeTemplate": {
            "iamRole": "nodes",
            "securityGroupSelector": {"karpenter.sh/discovery": "sdoneksStack"},
            "subnetSelector": {"karpenter.sh/discovery": "sdoneksStack"},
        }
    },
    "runtime": {
        "inferenceApi": {"modelFilename": "v1-5-pruned-emaonly.safetensors"},
        "queueAgent": {"s3Bucket": "pictures", "snsTopicArn": TOPIC, "sqsQueueUrl": QUEUE, "jobsTable": "jobs"},
        "persistence": {"bucketName": "models"},
    },
}
"""The least that a release on AWS needs: SD WebUI with one checkpoint."""

DYNAMIC = {
    "karpenter": {
        "provisioner": {
            "labels": {"team": "art"},
            "capacityType": {"onDemand": False},
            "extraRequirements": [
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["us-east-1a", "us-east-1b"]}
            ],
            "extraTaints": [{"key": "team", "value": "art", "effect": "NoSchedule"}],
            "resourceLimits": {"nvidia.com/gpu": 8, "cpu": 64, "memory": "256Gi"},
            "disruption": {"consolidateAfter": "5m", "expireAfter": "720h"},
        },
        "nodeTemplate": {
            "tags": {"cost": "art"},
            "dataVolume": {"snapshotID": "snap-0123456789"},
            "kmsKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1",
        },
    },
    "runtime": {
        "name": "anything",
        "serviceAccountName": "sdruntime",
        "labels": {"team": "art"},
        "annotations": {"example.org/owner": "art"},
        "imagePullSecrets": ["registry"],
        "terminationGracePeriodSeconds": 90,
        "scaling": {
            "minReplicaCount": 2,
            "maxReplicaCount": 8,
            "cooldownPeriod": 300,
            "extraHPAConfig": {"name": "mine"},
        },
        "inferenceApi": {"commandArguments": "--medvram", "extraEnv": {"A": "1"}},
        "queueAgent": {
            "dynamicModel": True,
            "sqsDeadQueueUrl": f"{QUEUE}-dead",
            "jobsTable": "jobs",
            "inputBuckets": ["inputs", "more-inputs"],
            "awsRegion": "us-east-1",
            "otlpEndpoint": "http://collector.observability.svc:4318",
            "logLevel": "WARNING",
            "extraEnv": [{"name": "CACHED_CHECKPOINTS", "value": "2"}],
            "deadlines": {"startSeconds": 60.5, "maxStartSeconds": 100000.0},
        },
        "persistence": {"prefix": "v2/", "region": "us-east-1", "cacheSize": "50Gi", "annotations": {"a": "b"}},
    },
}
"""Most values set, on top of those above."""

COMFYUI = {"runtime": {"type": "comfyui"}}
FLUX = {
    "runtime": {
        "type": "flux",
        "inferenceApi": {"modelOptions": {"profile": "flux-schnell", "source": "FLUX.1-schnell", "maxBatch": 8}},
    }
}
LOCAL_DISKS = {
    "karpenter": {
        "nodeTemplate": {
            "instanceStorePolicy": "RAID0",
            "userData": '[settings.kernel]\nlockdown = "{{ .Values.runtime.name | default "integrity" }}"',
        }
    }
}
ANYWHERE = {
    "karpenter": {"enabled": False},
    "runtime": {
        "type": "comfyui",
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "nodeSelector": {"disk": "fast"},
        "inferenceApi": {"resources": {}, "readOnlyRootFilesystem": True},
        "queueAgent": {
            "s3Bucket": "pictures",
            "snsTopicArn": TOPIC,
            "sqsQueueUrl": "http://aws.aws:5000/1/q",
            "jobsTable": "jobs",
            "awsEndpointUrl": "http://aws.aws:5000",
            "credentialsSecret": "keys",
            "resources": {},
            "XRay": {"enabled": False},
        },
        "persistence": {"enabled": False},
        "networkPolicy": {"kubernetesApiCidrs": ["10.96.0.1/32"]},
    },
}
"""A cluster without AWS, Karpenter and GPU; stands alone."""
FIXED = {
    "runtime": {
        "replicas": 3,
        "scaling": {"enabled": False},
        "persistence": {"existingClaim": "shared", "bucketName": None},
        "networkPolicy": {"enabled": False},
    }
}


NAMES = ("static", "dynamic", "comfyui", "flux", "local disks", "anywhere", "fixed", "china")
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
        (container,) = self.pod["spec"]["initContainers"]
        return container


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
