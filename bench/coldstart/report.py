"""Measures the stages, and prints the figures: each is what it takes here, by what a plain start takes."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.coldstart.s3 import CHECKPOINT, slow_s3
from bench.figures import Figure, print_all
from local.sandbox import sandboxed
from test.kit.processes import ROOT, answers, wait_for
from test.kit.rig import Kit

MAX_IMPORTS, MAX_AGENT, MAX_MODEL, MAX_COPIED = 0.8, 0.85, 0.75, 0.85
"""Limits of the ratios."""
_PYTHON = ROOT / ".venv-flux" / "bin" / "python"
_LIBRARIES = "import torch; from diffusers import FluxPipeline; from transformers import T5EncoderModel"
_SERVER_IMPORTS_S = 3.0
"""How long the stand-in is taken to import, which has little to import: real servers take longer."""
_RATES_MB_S = ("110", "75")
"""A tenth of what a node's network and one reader of a file get, for a tenth of a checkpoint."""
_S3_RATES_MB_S = ("110", "9")
"""The same of the network and of one request to S3."""
_MODEL_BYTES = 427_000_000
_MAKE_MODEL = """
import sys, torch
from safetensors.torch import save_file
save_file({str(n): torch.rand(int(sys.argv[2]) // 40, dtype=torch.float32) for n in range(10)}, sys.argv[1])
"""


def report(*, short: bool) -> list[Figure]:
    """Measure and print; return the figures."""
    rounds = 1 if short else 5
    print(f"a start's stages, by a plain start's: {rounds} rounds")
    figures = [_agent_beside_the_server(rounds)]
    if _PYTHON.exists():
        with tempfile.TemporaryDirectory() as folder:
            libraries = "import torch" if short else _LIBRARIES
            model = _make_model(Path(folder), _MODEL_BYTES // (10 if short else 1))
            figures += [
                _imports(Path(folder), libraries, rounds),
                _read_ahead(model, rounds),
                _copied(model, libraries, rounds),
            ]
    else:
        print("without .venv-flux, neither imports nor models can be measured")
    return print_all(figures)


def _ratios(rounds: int, ours: Callable[[], float], plain: Callable[[], float]) -> list[float]:
    """Both in turns, for the machine may slow down in between."""
    return [ours() / plain() for _ in range(rounds)]


def _imports(folder: Path, libraries: str, rounds: int) -> Figure:
    def run(environment: Mapping[str, str]) -> float:
        began_s = time.monotonic()
        subprocess.run([_PYTHON, "-c", libraries], env={**os.environ, **environment}, check=True, capture_output=True)
        return time.monotonic() - began_s

    plain = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(folder / "none")}
    run({})  # all files are in memory from here on
    samples = _ratios(rounds, lambda: run({}), lambda: run(plain))
    return Figure("imports: with byte code, by without", samples, "", MAX_IMPORTS, digits=2)


def _make_model(folder: Path, size: int) -> Path:
    model = folder / "model.safetensors"
    subprocess.run([_PYTHON, "-c", _MAKE_MODEL, model, str(size)], check=True)
    return model


def _read_ahead(model: Path, rounds: int) -> Figure:
    copy = model.parent / "near" / "model.safetensors"

    def start(target: str) -> float:
        command = [_PYTHON, "-m", "bench.coldstart", model, target, *_RATES_MB_S]
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "TMP_SIZE": "20Gi"}, check=True, stdout=subprocess.PIPE, text=True
        )
        copy.unlink(missing_ok=True)
        return float(ended.stdout)

    samples = _ratios(rounds, lambda: start(str(copy)), lambda: start("-"))
    return Figure("imports and model: read ahead, by after", samples, "", MAX_MODEL, digits=2)


def _copied(model: Path, libraries: str, rounds: int) -> Figure:
    """A pod that copies its models: beside the server's imports, and before the server starts."""

    def start(*, beside: bool) -> float:
        with tempfile.TemporaryDirectory(dir=model.parent) as folder:
            environment = sandboxed(os.environ, endpoint) | {
                "RUNTIME_NAME": "bench",
                "LOGLEVEL": "WARNING",
                "AWS_REGION": "us-west-2",
                "MODELS_BUCKET": "models",
                "MODELS_DIR": folder,
                "MODELS_SIZE": "1Gi",
                "MODEL_FILENAME": CHECKPOINT,
            }
            began_s = time.monotonic()
            copying = subprocess.Popen([sys.executable, "-m", "runtimes.model_copies"], cwd=ROOT, env=environment)
            if not beside:
                copying.wait()
            subprocess.run([_PYTHON, "-c", libraries], check=True, capture_output=True)
            if copying.wait():
                raise RuntimeError("the models were not copied")
            return time.monotonic() - began_s

    with slow_s3(model, *_S3_RATES_MB_S) as endpoint:
        samples = _ratios(rounds, lambda: start(beside=True), lambda: start(beside=False))
    return Figure("imports and copies: side by side, by one after the other", samples, "", MAX_COPIED, digits=2)


def _agent_beside_the_server(rounds: int) -> Figure:
    """From the start of the pod until it takes jobs: both processes at once, by the agent after the server."""
    with tempfile.TemporaryDirectory() as folder, Kit(Path(folder)) as kit, kit.rig("comfyui") as rig:

        def start(*, beside: bool) -> float:
            pod = rig.add_pod(agent={"fresh": True})
            began_s = time.monotonic()
            if beside:
                pod.agent.start()
            time.sleep(_SERVER_IMPORTS_S)
            pod.server.start()
            if not beside:
                wait_for(lambda: answers(f"{pod.server_url}{pod.model.ready_path}"), "a model server", every_s=0.02)
                pod.agent.start()
            wait_for(lambda: answers(f"{pod.health_url}/readyz"), "a ready agent", every_s=0.02)
            took_s = time.monotonic() - began_s
            pod.kill()
            return took_s

        samples = _ratios(rounds, lambda: start(beside=True), lambda: start(beside=False))
    return Figure("pod: agent beside the server, by after it", samples, "", MAX_AGENT, digits=2)
