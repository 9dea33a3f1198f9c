"""When the server's worker drew, decoded and encoded each picture, on the monotonic clock that processes share.

With ``PIPELINE=bench.flux.stamps:load``, the worker loads the usual pipeline, and writes each moment to the file named
by ``FLUX_BENCH_STAMPS``.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

FILE = "FLUX_BENCH_STAMPS"

Moments = dict[str, list[float]]
"""Sorted times by kind, such as ``drawing`` and ``drawn``, before and after a call."""


def load(*given: Any) -> Any:
    """Load a model like ``runtimes.flux.server.pipeline.loading.load``, and record moments."""
    from diffusers import AutoencoderKL  # noqa: PLC0415 - reading stamps needs no torch

    from runtimes.flux.server.images.finishing import Finishing  # noqa: PLC0415
    from runtimes.flux.server.pipeline import loading  # noqa: PLC0415

    pipeline = loading.load(*given)
    _note(type(pipeline), "draw", "drawing", "drawn")
    _note(AutoencoderKL, "decode", "decoding", "decoded")
    _note(Finishing, "apply", "encoding", "encoded")
    return pipeline


def _note(owner: Any, name: str, before: str, after: str) -> None:
    """Record the moments before and after each call of a method."""
    method = getattr(owner, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        result = method(*args, **kwargs)
        lines = (json.dumps(moment) + "\n" for moment in ((before, began), (after, time.monotonic())))
        with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
            file.write("".join(lines))
        return result

    setattr(owner, name, noted)


def read_moments(path: Path, since: float) -> Moments:
    """Read a file's moments from a time on."""
    moments: Moments = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, at = json.loads(line)
        if at >= since:
            moments.setdefault(kind, []).append(at)
    return {kind: sorted(found) for kind, found in moments.items()}
