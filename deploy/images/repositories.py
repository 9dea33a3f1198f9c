"""Repositories in ECR."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

_KEPT_IMAGES = 20
_LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "Layers that no image uses any more",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 7,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "description": "Old releases",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": _KEPT_IMAGES},
            "action": {"type": "expire"},
        },
    ]
}


@dataclass(frozen=True, slots=True)
class Login:
    """How a program logs in to the registry.

    Attributes:
        host: The registry.
        user: Its user.
        password: Good for some hours; it goes to programs by their standard input only.
    """

    host: str
    user: str
    password: str


class Repositories:
    """The account's registry.

    Args:
        ecr: boto3's client.
    """

    def __init__(self, ecr: Any) -> None:
        self._ecr = ecr

    def login(self) -> Login:
        """Ask for a password."""
        data = self._ecr.get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        return Login(data["proxyEndpoint"].removeprefix("https://"), user, password)

    def ensure(self, name: str) -> str:
        """Make a repository unless it is there: tags that cannot be moved, images scanned, old ones deleted.

        Returns:
            Its address.
        """
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
        """Find an image's digest; None where there is no image of that tag."""
        try:
            found = self._ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "ImageNotFoundException":
                return None
            raise
        return str(found["imageDetails"][0]["imageDigest"])
