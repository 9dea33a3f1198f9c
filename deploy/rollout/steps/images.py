"""The container images."""

import json
import sys

from deploy.errors import DeployError
from deploy.processes import output_of
from deploy.rollout.asked_images import images_left_open
from deploy.rollout.deployment import Deployment
from deploy.rollout.draft import Image

_BUILD = (sys.executable, "-m", "deploy.images", "build")
_REMEDY = "Look at the build's log above; then run the same command again."
_ALL_NAMED = "config.yaml names them"


class Images:
    """The images of model servers and agent, in the account's registry."""

    title = "Images"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether they would be built."""
        wanted = images_left_open(deployment.config)
        return f"build what the registry lacks of {', '.join(wanted)}" if wanted else _ALL_NAMED

    def run(self, deployment: Deployment) -> str:
        """Have those built that the registry lacks."""
        wanted = images_left_open(deployment.config)
        if not wanted:
            return _ALL_NAMED
        place = ("-n", deployment.config.stack_name, "-R", deployment.account.region)
        deployment.images = _read(output_of([*_BUILD, *wanted, *place], environ=deployment.environ, remedy=_REMEDY))
        if absent := set(wanted) - set(deployment.images):
            raise DeployError(f"The build gave no image {', '.join(sorted(absent))}.", _REMEDY)
        return ", ".join(str(deployment.images[name]) for name in wanted)


def _read(text: str) -> dict[str, Image]:
    try:
        return {name: Image(one["repository"], one["digest"]) for name, one in json.loads(text).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DeployError("The build of images did not say what it has built.", _REMEDY) from exc
