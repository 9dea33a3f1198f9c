"""The account's registry, ECR."""

import base64
import json
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import error_code
from deploy.scripts import run

_UNTAGGED = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7}
_OLD = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 20}
_LIFECYCLE = {
    "rules": [
        {"rulePriority": number, "description": what, "selection": images, "action": {"type": "expire"}}
        for number, what, images in ((1, "Layers that no image uses any more", _UNTAGGED), (2, "Old releases", _OLD))
    ]
}


class Registry:
    """The registry, by a boto3 client of ECR."""

    def __init__(self, ecr: Any) -> None:
        self._ecr = ecr

    @cached_property
    def _authorization(self) -> dict[str, str]:
        return dict(self._ecr.get_authorization_token()["authorizationData"][0])

    @property
    def host(self) -> str:
        """Its domain."""
        return self._authorization["proxyEndpoint"].removeprefix("https://")

    def log_in(self, program: str, *command: str) -> None:
        """Log a program in with a command such as ``login``; the password goes to its standard input.

        Raises:
            DeployError: The program is missing, or failed.
        """
        user, _, password = base64.b64decode(self._authorization["authorizationToken"]).decode().partition(":")
        words = [program, *command, "--username", user, "--password-stdin", self.host]
        run(words, stdin=password, remedy="Correct what it reports, then run the same command again.")

    def ensure(self, name: str) -> str:
        """Create a repository if it is missing, with immutable tags, scanning and a lifecycle; return its address."""
        try:
            made = self._ecr.create_repository(
                repositoryName=name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
            )
        except self._ecr.exceptions.RepositoryAlreadyExistsException:
            return str(self._ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryUri"])
        self._ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(_LIFECYCLE))
        return str(made["repository"]["repositoryUri"])

    def digest(self, name: str, tag: str) -> str | None:
        """An image's digest; None if there is no image with that tag."""
        try:
            found = self._ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])
        except ClientError as exc:
            if error_code(exc) == "ImageNotFoundException":
                return None
            raise
        return str(found["imageDetails"][0]["imageDigest"])
