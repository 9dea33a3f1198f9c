"""Access to the services that managed runtimes call."""

from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import StepWork, step
from deploy.services.table import managed


@step("Managed services")
def services(context: RolloutContext) -> StepWork:
    """Open the account's access to the services, once for each model: their first call may subscribe to it."""
    found = {str(one.model): (service, one) for service, one in managed(context.config.models_runtime)}
    if not found:
        return "no runtime is managed"
    yield f"make the first call for {', '.join(one.name for _, one in found.values())} where the account made none"
    return "; ".join(service.open(context.account, one.model) for service, one in found.values())
