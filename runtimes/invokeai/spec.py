"""Runtime type invokeai: InvokeAI, which runs graphs and the workflows of its editor."""

from pathlib import Path

from runtimes.spec import Pod, RuntimeSpec

SPEC = RuntimeSpec(
    name="invokeai",
    folder=Path(__file__).parent,
    hosting=Pod(
        port=9090,
        health_path="/api/v1/app/version",
        default_url="http://localhost:9090",
        not_found_hint="InvokeAI listens elsewhere",
    ),
    task_types=("pipeline",),
    driver="runtimes.invokeai.driver.executor:InvokeAI",
    checks="runtimes.invokeai.checks:check",
    schema="runtimes.invokeai.schema:content_schema",
    warnings="runtimes.invokeai.checks:warn",
    content="runtimes.invokeai.content:content_of",
)
