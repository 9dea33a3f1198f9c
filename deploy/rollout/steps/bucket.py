"""The model bucket."""

from deploy.errors import DeployError
from deploy.models.bucket import ModelBucket
from deploy.rollout.deployment import Deployment


class Bucket:
    """The bucket that holds models."""

    title = "Model bucket"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether it would be made."""
        return f"{deployment.bucket} is there" if self._is_there(deployment) else f"make {deployment.bucket}"

    def run(self, deployment: Deployment) -> str:
        """Make it, if it is not there; one that the operator named is left as it is."""
        bucket = deployment.model_bucket
        own = deployment.bucket == ModelBucket.default_name(deployment.account, deployment.options.stack_name)
        if self._is_there(deployment) and not own:
            return f"{bucket.name} is there"
        bucket.make()
        return f"{bucket.name}: private, encrypted, versioned, TLS only"

    @staticmethod
    def _is_there(deployment: Deployment) -> bool:
        exists = deployment.model_bucket.exists()
        if not exists and deployment.options.bucket is not None:
            raise DeployError(
                f"There is no bucket {deployment.bucket}.",
                "-b names one that exists. Leave it out and one is made, or correct its name.",
            )
        return exists
