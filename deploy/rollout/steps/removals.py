"""Runtimes that a deployment has and config.yaml has no more."""

from deploy.backlog import RuntimeQueues, deployed_queues
from deploy.errors import DeployError
from deploy.rollout.deployment import Deployment

_NOTHING = "no runtime is removed"


class Removals:
    """A runtime is removed only when none of its queues holds a task."""

    title = "Removed runtimes"

    def foresee(self, deployment: Deployment) -> str:
        """Say which would be removed, or refused."""
        return self.run(deployment)

    def run(self, deployment: Deployment) -> str:
        """Look which would be removed; refuse those that hold tasks, or that nobody has asked to remove."""
        removed = _removed(deployment)
        if held := [queues for queues in removed if queues.total]:
            raise DeployError(
                f"Runtimes that config.yaml has no more still hold tasks: {'; '.join(map(str, held))}.",
                "Put them back with `disabled: true` and deploy: they finish what they have and take nothing new."
                " `python -m deploy.redrive` begins anew what a dead queue holds. Remove them when all are empty.",
            )
        names = ", ".join(queues.runtime for queues in removed)
        if removed and deployment.kept is None:
            raise DeployError(
                f"A new config.yaml with the one runtime {deployment.options.runtime_name} would remove {names}.",
                "Take up your own config.yaml (see config.yaml.*.bak), or add the runtime to it; then run this again.",
            )
        return f"{names} will be removed" if removed else _NOTHING


def _removed(deployment: Deployment) -> list[RuntimeQueues]:
    names = {runtime.name for runtime in deployment.config.models_runtime}
    sqs = deployment.account.client("sqs")
    queues = deployed_queues(sqs, deployment.config.cloudformation_stack, known=names)
    return [one for one in queues if one.runtime not in names]
