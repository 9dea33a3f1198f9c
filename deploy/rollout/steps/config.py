"""config.yaml."""

from collections.abc import Iterator

from deploy.console import note
from deploy.rollout.asked_images import stale_images
from deploy.rollout.config_yaml import Origin
from deploy.rollout.deployment import Deployment

_ASIDE = "the present one is for another deployment, or its model bucket is not this account's"


class ConfigFile:
    """The file that says what is deployed: the operator's own, or a new one."""

    title = "config.yaml"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether it would be written."""
        if deployment.kept is not None:
            return "keep it: it was edited"
        aside = (
            f"; {_ASIDE}, so that it is kept under another name" if deployment.file.origin is Origin.OPERATOR else ""
        )
        return f"write {deployment.file.path}{aside}"

    def run(self, deployment: Deployment) -> str:
        """Write it, unless the operator has one for this deployment."""
        if deployment.kept is not None:
            for difference in _differences(deployment):
                note(difference)
            return "kept: it was edited"
        deployment.config  # noqa: B018  refuses what would not load again
        backup = deployment.file.write(deployment.draft)
        if backup is not None:
            note(f"{_ASIDE}: it is {backup.name} now.")
        return f"{deployment.file.path} written"


def _differences(deployment: Deployment) -> Iterator[str]:
    """Where the operator's file says something else than what was asked for, or than this checkout builds."""
    options, config = deployment.options, deployment.config
    names = [runtime.name for runtime in config.models_runtime]
    if options.runtime_name not in names:
        yield f"-r {options.runtime_name} has no effect: config.yaml has {', '.join(names)}."
    snapshots = {
        runtime.name: runtime.extra_values.karpenter.node_template.data_volume.snapshot_id
        for runtime in config.models_runtime
    }
    for name, snapshot in snapshots.items():
        if options.snapshot not in {None, snapshot}:
            yield f"-s {options.snapshot} has no effect on {name}: config.yaml has {snapshot or 'no snapshot'} there."
    yield from stale_images(deployment.account, config)
