"""The images of model servers and agent in the account's registry, and those that pods will use."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from configuration.config import Config
from configuration.images import (
    AGENT,
    PodImage,
    account_registry,
    agent_source,
    has_arm_nodes,
    pod_images,
    project_version,
)
from deploy.aws import Account, error_code
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import StepWork, step
from deploy.rollout.steps.tools import environ
from deploy.scripts import ROOT, output_of

_BUILD = (sys.executable, "-m", "deploy.images", "build")
_REMEDY = "Look at the build's log above; then run the same command again."


@step("Images")
def images(context: RolloutContext) -> StepWork:
    """Build the images that config.yaml does not name and the registry lacks."""
    wanted = images_left_open(context.config)
    if not wanted:
        return "config.yaml names them" if context.config.has_cluster else "none is needed: nothing runs one"
    yield f"build what the registry lacks of {', '.join(wanted)}"
    place = ("-n", context.config.stack_name, "-R", context.account.region)
    built = json.loads(output_of([*_BUILD, *wanted, *place], environ=environ(context), remedy=_REMEDY))
    context.images = {name: f"{built[name]['repository']}@{built[name]['digest']}" for name in wanted}
    return ", ".join(context.images.values())


def images_left_open(config: Config) -> list[str]:
    """The images that config.yaml leaves to the deployment, also for disabled runtimes."""
    of_pods = config.models_runtime if config.has_cluster else []
    images = (image for runtime in of_pods for image in pod_images(config, runtime))
    named = {image.source.name for image in images if image.is_default}
    if AGENT in named or (of_pods and has_arm_nodes(config)):
        named.add(agent_source(config).name)  # the scaler's, which on Graviton is always this checkout's
    # A service may run one of ours, too.
    return sorted(
        named.union(one.managed.image for one in config.models_runtime if one.is_managed and one.managed.image)
    )


def address(account: Account, image: PodImage) -> str:
    """The image that its pods will use."""
    asked = image.asked(_registry_of(account), image.source.tag(ROOT))
    if asked.digest is not None:
        return f"{asked.repository}@{asked.digest}"
    return f"{asked.repository}:{asked.tag or project_version(ROOT)}"  # the chart's own default for a tag


def stale_images(account: Account, config: Config) -> Iterator[str]:
    """Say where config.yaml names other images than this checkout builds."""
    registry, ecr = _registry_of(account), account.client("ecr")
    for runtime in config.models_runtime:
        named = (image for image in pod_images(config, runtime) if image.is_ours(registry) and not image.is_default)
        for image in named:
            tag = image.source.tag(ROOT)
            if tag not in _tags(ecr, image):
                yield (
                    f"config.yaml names {address(account, image)} for {runtime.name}, this checkout's has tag {tag}."
                    " Take the image out of the file: then that one is built and taken."
                )


def _registry_of(account: Account) -> str:
    return account_registry(account=account.id, region=account.region, url_suffix=account.partition.url_suffix)


def _tags(ecr: Any, image: PodImage) -> set[str | None]:
    """The tags of one of our images; none if the registry lacks it."""
    if image.chosen.digest is None:
        return {image.chosen.tag}
    digest = {"imageDigest": image.chosen.digest}
    try:
        found = ecr.describe_images(repositoryName=image.source.repository, imageIds=[digest])
    except ClientError as exc:
        if error_code(exc) in {"ImageNotFoundException", "RepositoryNotFoundException"}:
            return set()
        raise
    return {tag for one in found["imageDetails"] for tag in one.get("imageTags", [])}
