"""The operator's consent."""

from deploy.console import confirm
from deploy.rollout.deployment import Deployment


class Consent:
    """Nothing is made in the account before the operator has seen what stands in the way."""

    title = "Consent"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether the operator would be asked."""
        return "given with --yes" if deployment.options.yes else "ask"

    def run(self, deployment: Deployment) -> str:
        """Ask, unless --yes was given."""
        confirm("Go on?", assumed=deployment.options.yes)
        return "given"
