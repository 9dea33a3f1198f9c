"""The snapshot that holds the images, so that a new node has them at once."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from contract.images import AGENT
from contract.pod_images import pod_images
from deploy.console import note
from deploy.errors import DeployError
from deploy.processes import ROOT, output_of
from deploy.rollout.asked_images import address
from deploy.rollout.deployment import Deployment
from deploy.rollout.journal import SNAPSHOT

_SCRIPT = ROOT / "utils" / "bottlerocket-images-cache" / "snapshot.sh"
_REMEDY = "Its own words stand above; it has removed what it made. Run the same command again."
_COMPLETED = "completed"
_IMAGE_TAG = "image-"


class Snapshot:
    """An EBS snapshot with the images."""

    title = "Snapshot"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether one would be made."""
        if deployment.kept is not None or deployment.options.snapshot is not None:
            return f"check {', '.join(_named(deployment)) or 'none: config.yaml names no snapshot'}"
        return "make one, unless there is one of the very same images"

    def run(self, deployment: Deployment) -> str:
        """Make one, unless one is named, or an earlier run has made one of the very same images."""
        ec2 = deployment.account.client("ec2")
        if deployment.kept is not None or deployment.options.snapshot is not None:
            return self._check_named(ec2, deployment)
        images = [str(deployment.images[name]) for name in (deployment.options.runtime_type, AGENT)]
        earlier = deployment.journal.recall(SNAPSHOT) or {}
        if earlier.get("images") == images and _state(ec2, earlier["id"]) == _COMPLETED:
            deployment.snapshot = earlier["id"]
            return f"{deployment.snapshot} holds these images already"
        command = [str(_SCRIPT), "-r", deployment.account.region, "-q", ",".join(images)]
        deployment.snapshot = output_of(command, environ=deployment.environ, remedy=_REMEDY)
        _require(ec2, deployment.snapshot)
        deployment.journal.remember(SNAPSHOT, {"id": deployment.snapshot, "images": images})
        return f"{deployment.snapshot} made"

    @staticmethod
    def _check_named(ec2: Any, deployment: Deployment) -> str:
        snapshots = _named(deployment)
        for snapshot in snapshots:
            _require(ec2, snapshot)
        for difference in _differences(ec2, deployment):
            note(difference)
        if not snapshots:
            note("config.yaml names no snapshot: a new node pulls its images first, which takes minutes.")
            return "none"
        deployment.snapshot = deployment.options.snapshot
        return f"{', '.join(snapshots)} is there"


def _named(deployment: Deployment) -> list[str]:
    if deployment.kept is None:
        return [deployment.options.snapshot] if deployment.options.snapshot else []
    volumes = (
        one.extra_values.karpenter.node_template.data_volume
        for one in deployment.kept.enabled_runtimes
        if one.extra_values.karpenter.enabled
    )
    return sorted({volume.snapshot_id for volume in volumes if volume.snapshot_id is not None})


def _differences(ec2: Any, deployment: Deployment) -> Iterator[str]:
    """Images that pods will ask for and a snapshot, as far as it says what it holds, does not have."""
    for runtime in deployment.kept.enabled_runtimes if deployment.kept is not None else ():
        snapshot = runtime.extra_values.karpenter.node_template.data_volume.snapshot_id
        held = _held(ec2, snapshot) if snapshot is not None else set()
        for asked in (address(deployment.account, image) for image in pod_images(runtime) if held):
            if asked not in held:
                yield f"Snapshot {snapshot} does not hold {asked}: nodes of {runtime.name} pull it first."


def _held(ec2: Any, snapshot: str) -> set[str]:
    """The images in a snapshot: snapshot.sh writes them into tags."""
    tags = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0].get("Tags", [])
    return {tag["Value"] for tag in tags if tag["Key"].startswith(_IMAGE_TAG)}


def _require(ec2: Any, snapshot: str) -> None:
    state = _state(ec2, snapshot)
    if state != _COMPLETED:
        raise DeployError(
            f"Snapshot {snapshot} is {state or 'not there'} in this region.",
            "Name one that is there and completed, or let one be made: leave out -s, or snapshotID in config.yaml.",
        )


def _state(ec2: Any, snapshot: str) -> str | None:
    try:
        found = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    except ClientError as exc:
        if exc.response["Error"]["Code"].startswith("InvalidSnapshot"):
            return None
        raise
    return str(found[0]["State"]) if found else None
