"""The EBS snapshots with container images that utils/bottlerocket-images-cache/snapshot.sh makes, by their tags."""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.aws import items

_MADE = ({"Name": "tag:made-by", "Values": ["bottlerocket-images-cache"]}, {"Name": "status", "Values": ["completed"]})
_IMAGE_TAG = "image-"


def made_snapshots(ec2: Any) -> Iterator[Mapping[str, Any]]:
    """The account's snapshots, as EC2 describes them."""
    return items(ec2, "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=[*_MADE])


def images_in(snapshot: Mapping[str, Any]) -> set[str]:
    """The images in a snapshot; none if it does not say."""
    return {tag["Value"] for tag in snapshot.get("Tags", []) if tag["Key"].startswith(_IMAGE_TAG)}
