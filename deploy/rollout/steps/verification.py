"""The first pictures."""

from configuration.config import ModelsRuntime
from deploy.processes import ROOT, run
from deploy.rollout.deployment import Deployment
from runtimes.flux.families import TEXT_TO_IMAGE

_SCRIPT = ROOT / "test" / "run.sh"


class Verification:
    """Sample requests, posted to the platform; each must come back with a picture."""

    title = "Verification"

    def foresee(self, deployment: Deployment) -> str:
        """Say which runtime would be verified."""
        return f"post samples to {_chosen(deployment).name}"

    def run(self, deployment: Deployment) -> str:
        """Post them and wait; the first ones wait for a node."""
        runtime = _chosen(deployment)
        environ = {
            **deployment.environ,
            "STACK_NAME": deployment.config.cloudformation_stack,
            "RUNTIME_NAME": runtime.name,
            "RUNTIME_TYPE": runtime.type,
            **({"MODEL_FILENAME": runtime.static_model} if runtime.static_model else {}),
            **({"TASK_TYPES": _task_types(deployment, runtime)} if runtime.model else {}),
        }
        run(
            [str(_SCRIPT)],
            environ=environ,
            remedy="The platform is deployed. See why it makes no pictures: kubectl get pods -A, and the dashboard.",
        )
        return f"{runtime.name} makes pictures"


def _task_types(deployment: Deployment, runtime: ModelsRuntime) -> str:
    """What the model does; of one that only its files describe, what most do."""
    row = runtime.deployed(deployment.config.deadlines)
    return TEXT_TO_IMAGE if row.card is None else ",".join(row.task_types)


def _chosen(deployment: Deployment) -> ModelsRuntime:
    """The runtime that -r names, else the first one."""
    runtimes = deployment.config.enabled_runtimes or deployment.config.models_runtime
    return next((one for one in runtimes if one.name == deployment.options.runtime_name), runtimes[0])
