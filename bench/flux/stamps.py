"""When the server's worker drew, decoded and encoded each picture, on the machine's monotonic clock.

``PIPELINE=bench.flux.stamps:load`` has the worker take the server's own pipeline and write each moment to the file
that ``FLUX_BENCH_STAMPS`` names. All processes share the clock.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE = "FLUX_BENCH_STAMPS"

Moments = dict[str, list[float]]
"""In order, by kind: drawing begins, the tensor is decoded, the picture drawn, encoding begins, the file is encoded."""


def load(options: Any, models_folder: str, device_number: int) -> Any:
    """Load a model as ``runtimes.flux.server.pipeline.loading.load`` does, whose place it takes."""
    from diffusers import AutoencoderKL  # noqa: PLC0415 - reading stamps needs no torch

    from runtimes.flux.server.images.finishing import Finishing  # noqa: PLC0415
    from runtimes.flux.server.pipeline import loading  # noqa: PLC0415

    pipeline = loading.load(options, models_folder, device_number)
    _note(type(pipeline), "draw", before="drawing", after="drawn")
    _note(AutoencoderKL, "decode", before="", after="decoded")
    _note(Finishing, "apply", before="encoding", after="encoded")
    return pipeline


def _note(owner: Any, name: str, *, before: str, after: str) -> None:
    """Have the moments before and after each call of a method noted."""
    method: Callable[..., Any] = getattr(owner, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        result = method(*args, **kwargs)
        ended = time.monotonic()
        with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
            file.write("".join(f"{json.dumps([kind, at])}\n" for kind, at in ((before, began), (after, ended)) if kind))
        return result

    setattr(owner, name, noted)


def read_moments(path: Path, since: float) -> Moments:
    """Read all moments of a file from a time on."""
    moments: Moments = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, at = json.loads(line)
        if at >= since:
            moments.setdefault(kind, []).append(at)
    return {kind: sorted(found) for kind, found in moments.items()}
