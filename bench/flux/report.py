"""The comparison's figures, printed, drawn and kept."""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from bench.agent.timeline import Timeline, draw
from bench.figures import Figure, print_all
from bench.flux.comparison import LONG, SHORT, Pair, Pairs, compare, figures
from bench.flux.model import SHAPE, make_model

OUT = Path(__file__).resolve().parents[2] / "out" / "bench"

SEED_S = {1: 1.02, 3: 0.84, 10: 0.81, 20: 0.83}
"""Seconds a picture of the reference implementation's FLUX.1-schnell, 512 x 512, 4 steps, on an L40S, as published."""


def report(*, short: bool) -> list[Figure]:
    """Measure, print, draw and keep; gives the figures.

    Raises:
        ProgramError: The loop or the server does not start.
        CallError: A request got no picture.
    """
    plan = SHORT if short else LONG
    print(f"flux server beside the bare diffusers loop, in turn, one torch thread each: {SHAPE}", flush=True)
    print(f"{plan.pictures} pictures a run, {plan.runs} of each kind: median (least to most)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        pairs = compare(plan, make_model(Path(folder)), Path(folder, "stamps.jsonl"))
    for line in table(pairs):
        print(line)
    measured = print_all(figures(pairs))
    keep("flux.json", {"model": SHAPE, "pictures": plan.pictures, "rows": rows(pairs)})
    _draw(pairs)
    return measured


def table(pairs: Pairs) -> Iterator[str]:
    """Seconds a picture by the number of requests at once, beside the seed's on its own machine."""
    seed = "reference implementation, real model on an L40S"
    yield f"{'at once':>8} {'server':>9} {'loop':>9} {'worker busy':>12}   {seed}"
    for row in rows(pairs):
        seconds = f"{median(row['server_s']):7.3f} s {median(row['loop_s']):7.3f} s {median(row['busy']):12.1%}"
        yield f"{row['callers']:>8} {seconds}   {SEED_S[row['callers']]:.2f} s"


def rows(pairs: Pairs) -> list[dict[str, Any]]:
    """All that was measured, by the number of requests at once; seconds are those of a picture."""
    return [{"callers": callers, **_row(done)} for callers, done in pairs.items()]


def _row(done: Sequence[Pair]) -> dict[str, list[float]]:
    return {
        "server_s": [pair.server.seconds / len(pair.server.answers) for pair in done],
        "loop_s": [pair.loop_s / len(pair.server.answers) for pair in done],
        "throughput": [pair.throughput for pair in done],
        "added_ms": [pair.server.added_ms for pair in done],
        "busy": [Timeline(pair.server.drawn).busy_share for pair in done],
    }


def keep(name: str, content: dict[str, Any]) -> None:
    """Write figures beside the other benches' pictures, with the machine that they are of."""
    OUT.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "torch": torch.__version__}
    (OUT / name).write_text(json.dumps({"machine": machine, **content}, indent=2) + "\n", encoding="utf-8")


def _draw(pairs: Pairs) -> None:
    """Draw the last run of the most callers: what an ideal server would fill without a gap."""
    callers, done = list(pairs.items())[-1]
    lanes = [
        (f"the server, {callers} requests at once", Timeline(done[-1].server.drawn)),
        ("the bare loop, half of its pictures", Timeline(done[-1].halves[0].drawn)),
    ]
    subtitle = "Red: pictures wait while the model rests, which in the loop is the time that encoding takes."
    picture = draw("When the model draws", subtitle, lanes)
    (OUT / "flux.svg").write_text(picture, encoding="utf-8")
    print(f"figures and timeline: {OUT.relative_to(OUT.parents[1])}/flux.json, flux.svg")
