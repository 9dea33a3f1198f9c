"""The container images."""

import json
import sys

from contract.chart_values import Image as ImageValues
from contract.config import Config
from deploy.errors import DeployError
from deploy.processes import output_of
from deploy.rollout.deployment import Deployment
from deploy.rollout.draft import AGENT_IMAGE, Image

_BUILD = (sys.executable, "-m", "deploy.images", "build")
_REMEDY = "Look at the build's log above; then run the same command again."


class Images:
    """The images of model servers and agent, in the account's registry."""

    title = "Images"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether they would be built."""
        return "config.yaml names them" if _are_named(deployment.kept) else "build those that the registry lacks"

    def run(self, deployment: Deployment) -> str:
        """Have those built that the registry lacks."""
        if _are_named(deployment.kept):
            return "config.yaml names them"
        wanted = sorted({AGENT_IMAGE, *(runtime.type for runtime in deployment.config.enabled_runtimes)})
        place = ("-n", deployment.config.stack_name, "-R", deployment.account.region)
        deployment.images = _read(output_of([*_BUILD, *wanted, *place], environ=deployment.environ, remedy=_REMEDY))
        if absent := set(wanted) - set(deployment.images):
            raise DeployError(f"The build gave no image {', '.join(sorted(absent))}.", _REMEDY)
        return ", ".join(str(deployment.images[name]) for name in wanted)


def _are_named(config: Config | None) -> bool:
    """Whether the operator's config.yaml names every image that is needed."""
    return config is not None and all(
        _is_named(container.image)
        for one in config.enabled_runtimes
        if one.chart_repository is None
        for container in (one.extra_values.runtime.inference_api, one.extra_values.runtime.queue_agent)
    )


def _is_named(image: ImageValues) -> bool:
    return image.repository is not None


def _read(text: str) -> dict[str, Image]:
    try:
        return {name: Image(one["repository"], one["digest"]) for name, one in json.loads(text).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DeployError("The build of images did not say what it has built.", _REMEDY) from exc
