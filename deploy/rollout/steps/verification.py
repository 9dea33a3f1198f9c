"""The first pictures: sample requests, posted to the platform; each must come back with a picture."""

from configuration.config import ModelsRuntime
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import RolloutStep
from deploy.rollout.steps.tools import environ
from deploy.scripts import ROOT, run
from runtimes.flux.families import TEXT_TO_IMAGE


def _post_samples(context: RolloutContext) -> str:
    """Post them and wait; the first ones wait for a node."""
    runtime = _chosen(context)
    variables = {
        **environ(context),
        "STACK_NAME": context.config.cloudformation_stack,
        "RUNTIME_NAME": runtime.name,
        "RUNTIME_TYPE": runtime.type,
        **({"MODEL_FILENAME": runtime.static_model} if runtime.static_model else {}),
        **({"TASK_TYPES": _task_types(context, runtime)} if runtime.model else {}),
    }
    run(
        [str(ROOT / "test" / "run.sh")],
        environ=variables,
        remedy="The platform is deployed. See why it makes no pictures: kubectl get pods -A, and the dashboard.",
    )
    return f"{runtime.name} makes pictures"


def _task_types(context: RolloutContext, runtime: ModelsRuntime) -> str:
    """What the model does; where only its files describe it, what most models do."""
    row = runtime.deployed(context.config.deadlines)
    return TEXT_TO_IMAGE if row.card is None else ",".join(row.task_types)


def _chosen(context: RolloutContext) -> ModelsRuntime:
    """The runtime that -r names, else the first one."""
    runtimes = context.config.enabled_runtimes or context.config.models_runtime
    return next((one for one in runtimes if one.name == context.options.runtime_name), runtimes[0])


VERIFICATION = RolloutStep("Verification", lambda context: f"post samples to {_chosen(context).name}", _post_samples)
