"""Runtime type toy: a server that draws one picture for a word."""

from pathlib import Path

from runtimes.spec import Pod, RuntimeSpec

SPEC = RuntimeSpec(
    name="toy",
    folder=Path(__file__).parent,
    hosting=Pod(
        port=8080,
        health_path="/health",
        default_url="http://localhost:8080",
        not_found_hint="the toy listens elsewhere",
    ),
    task_types=("draw",),
    driver="test.toy.driver:Toy",
    checks="test.toy.checks:check",
    content="test.toy.content:content_of",
)
