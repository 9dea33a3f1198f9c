"""Each setting of the chart can be changed by an upgrade."""

import json
from pathlib import Path

import pytest
from clusterkit.aws import NODE_ROLE
from clusterkit.releases import CHART, Example, Release

from test.kit.charts import at, merged

ARN = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
DIGEST = f"sha256:{'0' * 64}"

OTHERWISE = {
    "karpenter.enabled": False,
    "karpenter.provisioner.labels": {"team": "art"},
    "karpenter.provisioner.capacityType.onDemand": False,
    "karpenter.provisioner.capacityType.spot": False,
    "karpenter.provisioner.instanceType": ["g6.xlarge"],
    "karpenter.provisioner.extraRequirements": [
        {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["us-east-1a"]}
    ],
    "karpenter.provisioner.extraTaints": [{"key": "team", "value": "art", "effect": "NoSchedule"}],
    "karpenter.provisioner.resourceLimits": {"nvidia.com/gpu": 40},
    "karpenter.provisioner.consolidation": False,
    "karpenter.provisioner.disruption.consolidateAfter": "5m",
    "karpenter.provisioner.disruption.expireAfter": "720h",
    "karpenter.nodeTemplate.securityGroupSelector": {"karpenter.sh/discovery": "studio"},
    "karpenter.nodeTemplate.subnetSelector": {"karpenter.sh/discovery": "studio"},
    "karpenter.nodeTemplate.tags": {"cost": "art"},
    "karpenter.nodeTemplate.amiVersion": "1.67.0",
    "karpenter.nodeTemplate.osVolume.volumeSize": "12Gi",
    "karpenter.nodeTemplate.osVolume.volumeType": "gp2",
    "karpenter.nodeTemplate.osVolume.deleteOnTermination": False,
    "karpenter.nodeTemplate.osVolume.iops": 5000,
    "karpenter.nodeTemplate.osVolume.throughput": 250,
    "karpenter.nodeTemplate.dataVolume.volumeSize": "120Gi",
    "karpenter.nodeTemplate.dataVolume.volumeType": "gp2",
    "karpenter.nodeTemplate.dataVolume.deleteOnTermination": False,
    "karpenter.nodeTemplate.dataVolume.iops": 5000,
    "karpenter.nodeTemplate.dataVolume.throughput": 250,
    "karpenter.nodeTemplate.dataVolume.snapshotID": "snap-0123456789",
    "karpenter.nodeTemplate.dataVolume.volumeInitializationRate": 200,
    "karpenter.nodeTemplate.userData": '[settings.kernel]\nlockdown = "integrity"',
    "karpenter.nodeTemplate.instanceStorePolicy": "RAID0",
    "karpenter.nodeTemplate.iamRole": "other-nodes",
    "karpenter.nodeTemplate.kmsKeyArn": ARN,
    "runtime.labels": {"team": "art"},
    "runtime.annotations": {"team": "art"},
    "runtime.replicas": 3,
    "runtime.imagePullSecrets": ["registry"],
    "runtime.nodeSelector": {"disk": "fast"},
    "runtime.tolerations": [{"key": "gpu", "operator": "Exists"}],
    "runtime.terminationGracePeriodSeconds": 90,
    "runtime.networkPolicy.enabled": False,
    "runtime.networkPolicy.kubernetesApiCidrs": ["10.96.0.1/32"],
    "runtime.networkPolicy.extraEgress": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}],
    "runtime.scaling.enabled": False,
    "runtime.scaling.queueLength": 5,
    "runtime.scaling.cooldownPeriod": 120,
    "runtime.scaling.maxReplicaCount": 8,
    "runtime.scaling.minReplicaCount": 0,
    "runtime.scaling.pollingInterval": 5,
    "runtime.scaling.scaleOnInFlight": False,
    "runtime.scaling.extraHPAConfig": {"name": "mine"},
    "runtime.inferenceApi.image.repository": "registry.example/webui",
    "runtime.inferenceApi.image.tag": "7",
    "runtime.inferenceApi.image.digest": DIGEST,
    "runtime.inferenceApi.extraEnv": {"A": "1"},
    "runtime.inferenceApi.imagePullPolicy": "Always",
    "runtime.inferenceApi.modelMountPath": "/models",
    "runtime.inferenceApi.commandArguments": "--medvram",
    "runtime.inferenceApi.startupSeconds": 600,
    "runtime.inferenceApi.readOnlyRootFilesystem": True,
    "runtime.inferenceApi.tmpSize": "30Gi",
    "runtime.inferenceApi.cache.size": "80Gi",
    "runtime.inferenceApi.cache.existingClaim": "compiled",
    "runtime.inferenceApi.resources": {"limits": {"nvidia.com/gpu": 1}, "requests": {"cpu": "2"}},
    "runtime.inferenceApi.modelFilename": "other.safetensors",
    "runtime.inferenceApi.modelOptions": {"profile": "flux-dev", "maxBatch": 2},
    "runtime.queueAgent.image.repository": "registry.example/agent",
    "runtime.queueAgent.image.tag": "7",
    "runtime.queueAgent.image.digest": DIGEST,
    "runtime.queueAgent.extraEnv": [{"name": "CACHED_CHECKPOINTS", "value": "2"}],
    "runtime.queueAgent.imagePullPolicy": "Always",
    "runtime.queueAgent.logLevel": "WARNING",
    "runtime.queueAgent.maxPixels": 16_000_000,
    "runtime.queueAgent.memoryBudgetMib": 2048,
    "runtime.queueAgent.resources": {"requests": {"memory": "1Gi"}},
    "runtime.queueAgent.XRay.enabled": False,
    "runtime.queueAgent.dynamicModel": True,
    "runtime.queueAgent.s3Bucket": "more-pictures",
    "runtime.queueAgent.snsTopicArn": "arn:aws:sns:us-east-1:123456789012:other-notices",
    "runtime.queueAgent.sqsQueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/other",
    "runtime.queueAgent.sqsDeadQueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/other-dead",
    "runtime.queueAgent.jobsTable": "other-jobs",
    "runtime.queueAgent.inputBuckets": ["inputs"],
    "runtime.queueAgent.awsRegion": "us-west-2",
    "runtime.queueAgent.awsEndpointUrl": "https://aws.example",
    "runtime.queueAgent.credentialsSecret": "keys",
    "runtime.queueAgent.otlpEndpoint": "http://other.observability.svc:4318",
    "runtime.queueAgent.deadlines.startSeconds": 600,
    "runtime.queueAgent.deadlines.executionSeconds": 100,
    "runtime.queueAgent.deadlines.stallSeconds": 100,
    "runtime.queueAgent.deadlines.maxStartSeconds": 100_000,
    "runtime.queueAgent.deadlines.maxExecutionSeconds": 600,
    "runtime.persistence.enabled": False,
    "runtime.persistence.existingClaim": "shared",
    "runtime.persistence.labels": {"team": "art"},
    "runtime.persistence.annotations": {"team": "art"},
    "runtime.persistence.storageClass": "other-class",
    "runtime.persistence.size": "3Ti",
    "runtime.persistence.accessModes": ["ReadOnlyMany"],
    "runtime.persistence.cacheSize": "50Gi",
    "runtime.persistence.mountMemory": "256Mi",
    "runtime.persistence.bucketName": "other-models",
    "runtime.persistence.prefix": "v2/",
    "runtime.persistence.region": "us-west-2",
    "runtime.name": "renamed",
    "runtime.type": "comfyui",
    "runtime.serviceAccountName": "renamed",
}
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
    extra = {"runtime": {"inferenceApi": {"modelOptions": {"profile": "flux-schnell"}}}}
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
