"""What every step of a deployment has."""

from typing import Protocol

from deploy.rollout.deployment import Deployment


class Step(Protocol):
    """A step. It looks first, so that it can be run again at any time."""

    @property
    def title(self) -> str:
        """What it is about, in a few words."""

    def foresee(self, deployment: Deployment) -> str:
        """Say what ``run`` would do; nothing is changed."""

    def run(self, deployment: Deployment) -> str:
        """Do it where it is not done; say what is there now.

        Raises:
            DeployError: It cannot be done.
        """
