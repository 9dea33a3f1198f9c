"""The scaler: what it is installed as, what it is told, and that KEDA asks where it listens."""

import json
from pathlib import Path

import kubernetes_validate
import pytest
from infrakit.stacks import example

from configuration.images import IMAGES
from scaler.settings import ScalerSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def objects(stack):
    """The Kubernetes objects that are installed, by kind."""
    return stack.manifest("scaler")[1]


@pytest.fixture(scope="module")
def container(objects):
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    return container


def test_every_object_is_valid_to_kubernetes(objects):
    for one in objects.values():
        kubernetes_validate.validate(one, "1.36", strict=True)
    assert set(objects) == {"Namespace", "ServiceAccount", "Deployment", "Service", "NetworkPolicy"}


def test_it_is_told_the_queues_of_the_runtimes_that_ask_it_and_their_table(stack, container):
    settings = ScalerSettings.from_environ({one["name"]: one["value"] for one in container["env"]})
    asking = {
        name: release["Values"]["runtime"]["queueAgent"]
        for name, release in stack.releases.items()
        if "scalerUrl" in release["Values"].get("runtime", {}).get("scaling", {})
    }
    assert asking
    assert {settings.jobs_table} == {agent["jobsTable"] for agent in asking.values()}
    keys = ("sqsHighQueueUrl", "sqsQueueUrl", "sqsLowQueueUrl")
    queues = {name: [agent[key] for key in keys if key in agent] for name, agent in asking.items()}
    assert {name: sorted(urls) for name, urls in settings.queues.items()} == {
        name: sorted(urls) for name, urls in queues.items()
    }


def test_keda_asks_where_it_listens(stack, objects, container):
    service, pods = objects["Service"], objects["Deployment"]["spec"]["template"]
    (port,) = service["spec"]["ports"]
    assert service["spec"]["selector"].items() <= pods["metadata"]["labels"].items()
    assert {one["name"]: one["containerPort"] for one in container["ports"]} == {port["targetPort"]: 8080}
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{port['port']}"
    for name, release in stack.releases.items():
        url = release["Values"].get("runtime", {}).get("scaling", {}).get("scalerUrl")
        assert url in {None, f"http://{address}/runtimes/{name}"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/health", "port": "http"}


def test_keda_alone_reaches_it(objects):
    (rule,) = objects["NetworkPolicy"]["spec"]["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}]


def test_it_runs_in_the_image_of_the_queue_agents(stack, container):
    images = {
        f"{image['repository']}:{image['tag']}"
        for release in stack.releases.values()
        if (image := release["Values"].get("runtime", {}).get("queueAgent", {}).get("image"))
    }
    assert container["image"] in images, json.dumps(sorted(images))


def test_on_graviton_it_runs_in_this_checkouts_image_whatever_the_pods_on_gpu_nodes_run(lean):
    (container,) = lean.manifest("scaler")[1]["Deployment"]["spec"]["template"]["spec"]["containers"]
    repository, _, tag = container["image"].rpartition(":")
    assert repository.endswith("/sd-on-eks/queue-agent-arm64")
    assert tag == IMAGES["queue-agent-arm64"].tag(ROOT)


def test_on_graviton_it_runs_in_the_image_for_that():
    _, objects = example("invokeai").manifest("scaler")
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert "/sd-on-eks/queue-agent-arm64:" in container["image"]
