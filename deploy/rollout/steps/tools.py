"""Tools."""

from deploy.console import note
from deploy.errors import DeployError
from deploy.rollout.deployment import Deployment
from deploy.rollout.toolbox import cdk_on_path, cdk_version, has_cdk, install_cdk, missing


class Tools:
    """The CDK's command line in its pinned version."""

    title = "Tools"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether it would be installed."""
        if deployment.options.skip_tools:
            return "use the cdk on the PATH"
        return (
            f"aws-cdk {cdk_version()} is there" if has_cdk() else f"install aws-cdk {cdk_version()} into node_modules"
        )

    def run(self, deployment: Deployment) -> str:
        """Install it, unless -T says to use what is there."""
        self._look_for_aws(deployment)
        if absent := missing("kubectl", "helm"):
            note(f"{' and '.join(absent)} not found; only your own looks into the cluster need them.")
        if deployment.options.skip_tools:
            version = cdk_on_path()
            if version != cdk_version():
                note(f"cdk is {version}; the platform was made with {cdk_version()}.")
            return f"cdk {version} from the PATH"
        if not has_cdk():
            install_cdk()
        return f"aws-cdk {cdk_version()}"

    @staticmethod
    def _look_for_aws(deployment: Deployment) -> None:
        if missing("aws"):
            if deployment.options.snapshot is None and deployment.kept is None:
                raise DeployError(
                    "The AWS CLI is not on the PATH; the snapshot is made with it.",
                    "Install it (docs.aws.amazon.com/cli), or name a snapshot with -s.",
                )
            note("aws not found; the stack's ConfigCommand needs it.")
