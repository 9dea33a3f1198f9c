"""How a task finds its queue: SNS message attributes and each queue's subscription filter."""

from typing import Any

from contract.queues import Priority
from contract.task import CHECKPOINT_ATTRIBUTE, PRIORITY_ATTRIBUTE, RUNTIME_ATTRIBUTE
from runtimes.catalog import DeployedRuntime, RuntimeCatalog


def subscription_filter(
    runtime: DeployedRuntime, catalog: RuntimeCatalog, priority: Priority = Priority.NORMAL
) -> dict[str, Any]:
    """The filter policy of a runtime's queue, of a priority where it has several.

    Our door sends attribute ``runtime``. A foreign producer may send the checkpoint instead: it goes to the
    static runtime that holds it, any other to the dynamic runtime where there is exactly one. What is neither of high
    nor of low priority is normal.
    """
    return _by_runtime(runtime, catalog) | (_by_priority(priority) if runtime.has_priorities else {})


def _by_runtime(runtime: DeployedRuntime, catalog: RuntimeCatalog) -> dict[str, Any]:
    by_runtime = {RUNTIME_ATTRIBUTE: [runtime.name]}
    if runtime.model_filename is not None:
        by_checkpoint: dict[str, Any] = {CHECKPOINT_ATTRIBUTE: [runtime.model_filename]}
    elif runtime.dynamic_model and len(catalog.dynamic) == 1:
        taken = catalog.checkpoints
        by_checkpoint = {CHECKPOINT_ATTRIBUTE: [{"anything-but": taken} if taken else {"exists": True}]}
    else:
        return by_runtime
    return {"$or": [by_runtime, by_checkpoint]}


def _by_priority(priority: Priority) -> dict[str, Any]:
    if priority is not Priority.NORMAL:
        return {PRIORITY_ATTRIBUTE: [priority.value]}
    others = [one.value for one in Priority if one is not Priority.NORMAL]
    return {PRIORITY_ATTRIBUTE: [{"exists": False}, {"anything-but": others}]}
