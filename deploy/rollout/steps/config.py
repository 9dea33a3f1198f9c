"""config.yaml: the operator's own or a new one, and the runtimes that it removes."""

from collections.abc import Iterator

from deploy.backlog import backlogs, held_tasks
from deploy.console import note
from deploy.errors import DeployError
from deploy.rollout.context import RolloutContext
from deploy.rollout.options import NEW_SNAPSHOT
from deploy.rollout.steps import StepWork, step
from deploy.rollout.steps.images import stale_images

_ASIDE = "the present one is for another deployment, or its model bucket is not this account's"


@step("config.yaml")
def config_file(context: RolloutContext) -> StepWork:
    """Write it, unless the operator has one."""
    file = context.file
    if context.kept is not None:
        yield "keep it: it was edited"
        for difference in _differences(context):
            note(difference)
        return "kept: it was edited"
    aside = f"; {_ASIDE}, so that it is kept under another name" if file.is_edited else ""
    yield f"write {file.path}{aside}"
    context.config  # noqa: B018  refuses what would not load again
    backup = file.write(context.new_config)
    if backup is not None:
        note(f"{_ASIDE}: it is {backup.name} now.")
    return f"{file.path} written"


def _differences(context: RolloutContext) -> Iterator[str]:
    """Differences between the operator's file and the options or this checkout's images."""
    options, runtimes = context.options, context.config.models_runtime
    names = [runtime.name for runtime in runtimes]
    if options.runtime_name not in names:
        yield f"-r {options.runtime_name} has no effect: config.yaml has {', '.join(names)}."
    for runtime in runtimes:
        snapshot = runtime.extra_values.karpenter.node_template.data_volume.snapshot_id
        if options.snapshot not in {None, NEW_SNAPSHOT, snapshot}:
            there = snapshot or "no snapshot"
            yield f"-s {options.snapshot} has no effect on {runtime.name}: config.yaml has {there} there."
    yield from stale_images(context.account, context.config)


@step("Removed runtimes")
def removed_runtimes(context: RolloutContext) -> StepWork:
    """Say which runtimes will be removed; refuse to remove those with tasks, or without the operator's request."""
    names = {runtime.name for runtime in context.config.models_runtime}
    found = backlogs(context.account.client("sqs"), context.config.cloudformation_stack, known=names)
    removed = {runtime: queues for runtime, queues in found.items() if runtime not in names}
    if held := held_tasks(removed):
        raise DeployError(
            f"Runtimes that are no longer in config.yaml still hold tasks: {'; '.join(held)}.",
            "Put them back with `disabled: true` and deploy: they finish their tasks and take no new ones."
            " `python -m deploy.redrive` retries what a dead queue holds. Remove them when all are empty.",
        )
    listed = ", ".join(removed)
    if removed and context.kept is None:
        raise DeployError(
            f"A new config.yaml with the one runtime {context.options.runtime_name} would remove {listed}.",
            "Restore your own config.yaml (see config.yaml.*.bak), or add the runtime to it; then run this again.",
        )
    told = f"{listed} will be removed" if removed else "no runtime is removed"
    yield told
    return told
