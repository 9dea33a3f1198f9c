"""Submits a job, waits for its pictures and saves them.

    .venv/bin/python -m examples.submit_and_wait "A lighthouse at dusk"    beside `make up`, in the checkout
    .venv/bin/python -m examples.submit_and_wait --runtime comfyruntime "A lighthouse at dusk"
    SD_URL=https://… SD_API_KEY=… python submit_and_wait.py "A lighthouse at dusk"

The last form is for a deployed platform, from anywhere. It needs the client: pip install ./clients/python
"""
# ruff: noqa: T201

import argparse
import json
import sys
from pathlib import Path
from typing import Any

try:
    from sd_on_eks import Client, ClientError
except ModuleNotFoundError as exc:
    sys.exit(f"{exc.name} is missing: in the checkout run pip install ./clients/python")

HERE = Path(__file__).resolve().parent
GRAPHS = {"comfyui": "workflow.json", "invokeai": "graph.json"}
SIZE = {"width": 512, "height": 512}
FIELDS: dict[str, dict[str, Any]] = {"sdwebui": {"steps": 20, **SIZE}, "flux": SIZE, "sagemaker": SIZE, "bedrock": {}}
"""What goes with the prompt and the seed."""


def main() -> None:
    """Read the command line, submit, wait, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt")
    parser.add_argument("--runtime", help="its name in config.yaml; default: the first one")
    parser.add_argument("--content", type=Path, help="a JSON file with the job's content; PROMPT in it is replaced")
    parser.add_argument("--out", type=Path, default=Path("out"), help="directory for the pictures (%(default)s)")
    parser.add_argument("--wait", type=float, default=900, help="seconds; a first GPU node takes minutes (%(default)s)")
    arguments = parser.parse_args()
    content = None if arguments.content is None else arguments.content.read_text(encoding="utf-8")
    try:
        with Client() as sd:
            types = {runtime.name: runtime.type for runtime in sd.runtimes()}
            runtime = arguments.runtime or next(iter(types))
            request = make_request(runtime, arguments.prompt, types.get(runtime, "sdwebui"), content)
            job = sd.run(**request, timeout_s=arguments.wait)
            for file in sd.save(job, arguments.out):
                print(file)
    except ClientError as exc:
        sys.exit(str(exc))


def make_request(
    runtime: str, prompt: str, runtime_type: str = "sdwebui", content: str | None = None
) -> dict[str, Any]:
    """A request with the content that its type of runtime takes.

    Args:
        runtime: The runtime's name.
        prompt: What to draw.
        runtime_type: Its type.
        content: The content as JSON, in which the text PROMPT is replaced; None takes a small one.
    """
    if content is None and runtime_type in GRAPHS:
        content = (HERE / GRAPHS[runtime_type]).read_text(encoding="utf-8")
    if content is not None:
        given = json.loads(content.replace('"PROMPT"', json.dumps(prompt)))
    else:
        given = {"prompt": prompt, **FIELDS.get(runtime_type, {}), "seed": 7}
    task_type = "pipeline" if runtime_type in GRAPHS else "text-to-image"
    return {"runtime": runtime, "type": task_type, "content": given}


if __name__ == "__main__":
    main()
