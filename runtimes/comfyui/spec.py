"""Runtime type comfyui: ComfyUI, which runs workflows."""

from pathlib import Path

from runtimes.spec import Pod, RuntimeSpec

SPEC = RuntimeSpec(
    name="comfyui",
    folder=Path(__file__).parent,
    hosting=Pod(
        port=8080,
        health_path="/queue",
        default_url="http://localhost:8080",
        not_found_hint="ComfyUI listens elsewhere",
    ),
    task_types=("pipeline",),
    driver="runtimes.comfyui.driver.executor:ComfyUI",
    checks="runtimes.comfyui.checks:check",
    schema="runtimes.comfyui.schema:content_schema",
    warnings="runtimes.comfyui.checks:warn",
    copies_models=True,
    takes_workflows=True,
    content="runtimes.comfyui.content:content_of",
)
