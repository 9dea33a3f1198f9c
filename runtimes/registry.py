"""The table of runtime types: one row says all that the other parts must know of a kind of model server."""

from collections.abc import Mapping
from dataclasses import dataclass

from runtimes.flux.families import TASK_TYPES as FLUX_TASK_TYPES


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeType:
    """A kind of model server.

    Attributes:
        name: The noun used everywhere: config.yaml, chart values, driver module, image folder.
        task_types: What API v1alpha2 accepts for it.
        v1alpha1_task_types: What API v1alpha1 accepts for it; empty where that API does not reach it.
        port: Where the server listens inside its pod.
        health_path: A cheap GET that answers 200 once the server takes jobs.
        default_url: The agent's API_BASE_URL when none is set.
        driver: Dotted path of the agent's driver class, as ``module:Class``.
        loads_checkpoint: Whether a runtime of this type serves one checkpoint, or switches on request
            (``modelFilename`` and ``dynamicModel`` in config.yaml).
        has_model_options: Whether a runtime of this type is told what to serve by ``model`` in config.yaml.
    """

    name: str
    task_types: tuple[str, ...]
    v1alpha1_task_types: tuple[str, ...] = ()
    port: int
    health_path: str
    default_url: str
    driver: str
    loads_checkpoint: bool = False
    has_model_options: bool = False


RUNTIME_TYPES: Mapping[str, RuntimeType] = {
    row.name: row
    for row in (
        RuntimeType(
            name="sdwebui",
            task_types=("text-to-image", "image-to-image", "extra-single-image", "extra-batch-images"),
            v1alpha1_task_types=("text-to-image", "image-to-image", "extra-batch-images"),
            port=8080,
            health_path="/sdapi/v1/memory",
            default_url="http://localhost:8080/sdapi/v1/",
            driver="runtimes.sdwebui.driver.executor:SdWebUI",
            loads_checkpoint=True,
        ),
        RuntimeType(
            name="comfyui",
            task_types=("pipeline",),
            port=8080,
            health_path="/queue",
            default_url="http://localhost:8080",
            driver="runtimes.comfyui.driver.executor:ComfyUI",
        ),
        RuntimeType(
            name="flux",
            task_types=FLUX_TASK_TYPES,
            port=8080,
            health_path="/health",
            default_url="http://localhost:8080",
            driver="runtimes.flux.driver.executor:Flux",
            has_model_options=True,
        ),
    )
}
