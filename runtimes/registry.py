"""The table of runtime types: a line for each, which names the spec in its folder."""

from runtimes.spec import RuntimeSpec, load

_SPECS = (
    "runtimes.sdwebui.spec:SPEC",
    "runtimes.comfyui.spec:SPEC",
    "runtimes.flux.spec:SPEC",
    "runtimes.invokeai.spec:SPEC",
    "runtimes.bedrock.spec:SPEC",
    "runtimes.sagemaker.spec:SPEC",
)

RUNTIME_TYPES: dict[str, RuntimeSpec] = {spec.name: spec for spec in map(load, _SPECS)}
"""All runtime types by name."""


def pod_types() -> dict[str, RuntimeSpec]:
    """The types with a model server in a pod: those that have an image."""
    return {name: spec for name, spec in RUNTIME_TYPES.items() if not spec.is_managed}
