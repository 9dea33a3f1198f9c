"""Runtime type sdwebui: AUTOMATIC1111's Stable Diffusion web UI."""

from pathlib import Path

from runtimes.spec import Pod, RuntimeSpec

SPEC = RuntimeSpec(
    name="sdwebui",
    folder=Path(__file__).parent,
    hosting=Pod(
        port=8080,
        health_path="/sdapi/v1/memory",
        default_url="http://localhost:8080/sdapi/v1/",
        not_found_hint="SD WebUI needs --api",
    ),
    task_types=("text-to-image", "image-to-image", "extra-single-image", "extra-batch-images"),
    v1alpha1_task_types=("text-to-image", "image-to-image", "extra-batch-images"),
    driver="runtimes.sdwebui.driver.executor:SdWebUI",
    checks="runtimes.sdwebui.checks:check",
    schema="runtimes.sdwebui.schema:content_schema",
    warnings="runtimes.sdwebui.server_checks:warn",
    loads_checkpoint=True,
    copies_models=True,
    content="runtimes.sdwebui.content:content_of",
)
