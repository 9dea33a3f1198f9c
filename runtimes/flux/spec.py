"""Runtime type flux: diffusers pipelines behind the project's own server."""

from pathlib import Path

from runtimes.flux.families import TASK_TYPES
from runtimes.spec import Pod, RuntimeSpec

SPEC = RuntimeSpec(
    name="flux",
    folder=Path(__file__).parent,
    hosting=Pod(
        port=8080,
        health_path="/health",
        default_url="http://localhost:8080",
        not_found_hint="the flux server listens elsewhere",
    ),
    task_types=TASK_TYPES,
    driver="runtimes.flux.driver.executor:Flux",
    checks="runtimes.flux.checks:check",
    schema="runtimes.flux.schema:content_schema",
    options="runtimes.flux.options:ModelOptions",
    model_example="{profile: flux-schnell}",
    content="runtimes.flux.content:content_of",
    takes_references=True,
)
