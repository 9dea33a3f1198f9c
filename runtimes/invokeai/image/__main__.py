"""The image's entry point: ``python -m runtimes.invokeai.image [argument of InvokeAI …]`` becomes InvokeAI.

MODELS_DIR: where the model bucket is mounted, read-only. WORK_DIR: InvokeAI's root, the one folder it writes to.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PORT = 9090
ADDRESS = "0.0.0.0"  # noqa: S104 (the kubelet probes from the node; the NetworkPolicy keeps others away)
HOSTED = (
    "alibabacloud_image_generation",
    "gemini_image_generation",
    "openai_image_generation",
    "seedream_image_generation",
)
"""Nodes that send prompts and pictures to hosted services."""
SETTINGS = {
    "INVOKEAI_HOST": ADDRESS,
    "INVOKEAI_PORT": str(PORT),
    "INVOKEAI_DENY_NODES": json.dumps(HOSTED),
    # A cached result is a file of an earlier job, and files are removed with their jobs.
    "INVOKEAI_NODE_CACHE_SIZE": "0",
    # To hash a model is to read all of it over the network.
    "INVOKEAI_HASHING_ALGORITHM": "random",
    "INVOKEAI_ALLOW_UNKNOWN_MODELS": "false",
    "INVOKEAI_LOG_FORMAT": "plain",
}
"""InvokeAI's settings, as it reads them from its environment; the container's own win."""
_SERVER = "from invokeai.app.run_app import run_app; run_app()"


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Record the models, start the removal of files that nothing names any more, and become InvokeAI."""
    work = Path(environ.get("WORK_DIR") or "/tmp/invokeai")  # noqa: S108 (a pod's own /tmp, alone in its container)
    models = environ.get("MODELS_DIR") or "/opt/ml/code/models"
    work.mkdir(parents=True, exist_ok=True)
    own = {**SETTINGS, **environ, "INVOKEAI_ROOT": str(work)}
    # A server without one of its models is of more use than none; the models are named in the log.
    subprocess.run([sys.executable, "-m", "runtimes.invokeai.image.models", models], env=own, check=False)  # noqa: S603 (no caller's words)
    subprocess.Popen([sys.executable, "-m", "runtimes.invokeai.image.removal", str(work)], env=own)  # noqa: S603 (the same)
    line = [sys.executable, "-c", _SERVER, "--root", str(work), *arguments]
    os.execve(line[0], line, own)  # noqa: S606 (InvokeAI takes this process's place, and with it its signals)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
