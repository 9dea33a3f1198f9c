"""Who tells KEDA how many pods the work of a runtime calls for: the scaler, one for the cluster."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from aws_cdk import Stack
from constructs import Construct

from cdk.addon import PodIdentity
from cdk.cluster import EksCluster
from cdk.context import Context, allow
from cdk.task_flow import TaskFlow
from configuration.chart_values import Image
from configuration.config import Config, ModelsRuntime
from configuration.images import account_registry, agent_source, has_arm_nodes, pod_images
from jobs.schema import QUEUE_INDEX

_URL = "http://scaler.scaling.svc:8080/runtimes"
_FOLDER = Path(__file__).parent
_ROOT = _FOLDER.parent


def scaler_url(runtime: str) -> str:
    """Where KEDA asks for a runtime's pods."""
    return f"{_URL}/{runtime}"


class Scaler(Construct):
    """The scaler, which runs in the queue agent's image, sees how many messages queues hold, and reads agents' beacons.

    Attributes:
        manifest: The scaler itself, which does not stand below this construct but below the cluster.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        context: Context,
        cluster: EksCluster,
        flow: TaskFlow,
    ) -> None:
        super().__init__(scope, construct_id)
        runtimes = scaled_runtimes(context.config)
        queues = {one.name: [*flow.messaging.queues[one.name].by_priority.values()] for one in runtimes}
        identity = PodIdentity(
            self,
            "Identity",
            cluster=cluster.cluster,
            service_account="scaling/scaler",
            description="The scaler: looks at the depth of queues and at agents' reports",
            statements=[
                allow(["sqs:GetQueueAttributes"], [queue.queue_arn for its in queues.values() for queue in its]),
                allow(["dynamodb:Query"], [f"{flow.table.table_arn}/index/{QUEUE_INDEX}"]),
                *context.key_statements("dynamodb", actions=["kms:Decrypt"]),
            ],
        )
        stack = Stack.of(self)
        environment = {
            "AWS_REGION": stack.region,
            "JOBS_TABLE": flow.table.table_name,
            "QUEUES": json.dumps({name: [queue.queue_url for queue in its] for name, its in queues.items()}),
        }
        self.manifest = cluster.cluster.add_manifest("Scaler", *_manifests(_image(stack, context.config), environment))
        # Pods that start before they have an identity get no credentials, and none later.
        self.manifest.node.add_dependency(identity)


def scaled_runtimes(config: Config) -> list[ModelsRuntime]:
    """The runtimes whose pods follow the scaler: those of the project's own chart that have a model server."""
    return [one for one in config.models_runtime if one.chart_repository is None and not one.is_managed]


def _image(stack: Stack, config: Config) -> str:
    """The agent's image of this checkout, if any runtime takes that, else the one that config.yaml names.

    What config.yaml names is for the x86-64 of GPU nodes. On Graviton, it is this checkout's in any case.
    """
    registry = account_registry(account=stack.account, region=stack.region, url_suffix=stack.url_suffix)
    agents = [image for one in scaled_runtimes(config) for image in pod_images(config, one)]
    agents = [image for image in agents if image.container == "queueAgent"]
    ours = replace(agents[0], source=agent_source(config), chosen=Image())
    agent = ours if has_arm_nodes(config) or any(image.is_default for image in agents) else agents[0]
    asked = agent.asked(registry, agent.source.tag(_ROOT))
    return f"{asked.repository}@{asked.digest}" if asked.digest else f"{asked.repository}:{asked.tag}"


def _manifests(image: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    manifests: list[dict[str, Any]] = yaml.safe_load((_FOLDER / "scaler_manifests.yaml").read_text(encoding="utf-8"))
    [deployment] = [one for one in manifests if one["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["image"] = image
    container["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    return manifests
