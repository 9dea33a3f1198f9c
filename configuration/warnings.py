"""What works in config.yaml, but is seldom meant."""

from collections.abc import Iterator

from configuration.config import Config, ModelsRuntime
from configuration.gpus import gpu_problems
from configuration.managed_pods import managed_pods
from configuration.volume_filling import REGION_MIB_S, asked_for
from contract.field_errors import FieldError
from contract.queues import FUNCTION_TIMEOUT_S, MIN_FUNCTIONS
from runtimes.flux.options import ModelOptions


def warnings(config: Config) -> Iterator[FieldError]:
    """Name what an operator should look at, key by key."""
    namespaces: dict[str, str] = {}
    for index, runtime in enumerate(config.models_runtime):
        at = f"modelsRuntime[{index}]"
        first = namespaces.setdefault(runtime.namespace, runtime.name)
        if first != runtime.name:
            yield FieldError(f"{at}.namespace", f"is shared with runtime {first}")
        for key, problems in (
            ("karpenter.provisioner.instanceType", _gpus(runtime)),
            ("runtime.scaling.queueLength", _scaling(runtime)),
            ("karpenter.nodeTemplate.dataVolume.volumeInitializationRate", _filling(config, runtime)),
        ):
            yield from (FieldError(f"{at}.extraValues.{key}", problem) for problem in problems)
        if runtime.is_managed:
            yield from (FieldError(f"{at}.{key}", problem) for key, problem in _managed(config, runtime))


def _managed(config: Config, runtime: ModelsRuntime) -> Iterator[tuple[str, str]]:
    """What a managed runtime's agents, functions or pods, do otherwise than config.yaml says."""
    concurrency = runtime.managed.concurrency
    if config.has_cluster:
        pods, _ = managed_pods(runtime)
        if pods > concurrency:
            key = "extraValues.runtime.scaling.maxReplicaCount"
            yield key, f"is {pods}, and each pod runs a job: that is more than model.concurrency ({concurrency})"
        return
    if concurrency < MIN_FUNCTIONS:
        yield "model.concurrency", f"is {concurrency}, but Lambda runs at least {MIN_FUNCTIONS} functions for a queue"
    longest = config.deadlines.with_own(runtime.deadlines).execution_seconds
    if longest > FUNCTION_TIMEOUT_S:
        yield "deadlines.executionSeconds", f"is {longest:g}, but a function has no more than {FUNCTION_TIMEOUT_S} s"
    if runtime.chart_repository is not None:
        yield "chartRepository", "means nothing: managed runtimes alone have no cluster"


def _gpus(runtime: ModelsRuntime) -> Iterator[str]:
    """What a runtime's model lacks on the nodes that it may be given."""
    nodes = runtime.extra_values.karpenter
    if isinstance(runtime.model, ModelOptions) and runtime.chart_repository is None and nodes.enabled:
        yield from gpu_problems(runtime.model, nodes.provisioner.instance_type)


def _scaling(runtime: ModelsRuntime) -> Iterator[str]:
    """What calls for more pods than a runtime's tasks need."""
    pods = runtime.extra_values.runtime
    scaling = pods.scaling
    if not isinstance(runtime.model, ModelOptions) or runtime.chart_repository is not None:
        return
    # What all GPUs draw together, and what one of them draws next: queue_agent.ports.Capacity.places.
    held = ((pods.inference_api.resources.gpus or 1) + 1) * runtime.model.max_batch
    if scaling.enabled and scaling.scale_on_in_flight and held > scaling.queue_length:
        yield f"is {scaling.queue_length}, but a pod holds up to {held} tasks, which calls for more; set it to {held}"


def _filling(config: Config, runtime: ModelsRuntime) -> Iterator[str]:
    """What makes EBS refuse a runtime's nodes."""
    filling, asked = runtime.filling, asked_for(config.fillings.values())
    if filling is not None and filling.rate and asked > REGION_MIB_S:
        yield (
            f"is {filling.rate}: nodes that start at the same time ask for up to {asked} MiB/s in all, and "
            f"beyond {REGION_MIB_S} EBS refuses them; leave it out"
        )
