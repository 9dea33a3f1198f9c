"""The server beside the bare loop, in turn, with the same work; measured and printed."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.agent.timeline import Span, Timeline
from bench.figures import Figure, print_all
from bench.flux.programs import DrawingWork, Loop, ServerAnswer, ask, running_loop, running_server
from bench.flux.stamps import FILE, Moments, read_moments

MIN_THROUGHPUT = 0.98
MAX_ADDED_MS = 10

_REFERENCE_S = {1: 1.02, 3: 0.84, 10: 0.81, 20: 0.83}
"""Seconds a picture of the reference implementation's FLUX.1-schnell, 512 x 512, 4 steps, on an L40S, as published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPlan:
    """How much is measured: pictures in each run, an even number, and runs of each number of callers."""

    runs: int
    pictures: int
    callers: Sequence[int]


LONG = ComparisonPlan(runs=3, pictures=20, callers=(1, 3, 10, 20))
SHORT = ComparisonPlan(runs=1, pictures=4, callers=(1, 3))


@dataclass(frozen=True, slots=True)
class Pair:
    """The server, and the loop with half of the same work before it and half after: so the machine's moods even out."""

    halves: Sequence[Mapping[str, Any]]
    answers: Sequence[ServerAnswer]
    moments: Moments

    @property
    def loop_s(self) -> float:
        """How long the loop took for the same work."""
        return float(sum(half["seconds"] for half in self.halves))

    @property
    def server_s(self) -> float:
        """From the first request until the last answer was read."""
        return max(answer.answered for answer in self.answers) - min(answer.asked for answer in self.answers)

    @property
    def throughput(self) -> float:
        """The server's, as a share of the loop's."""
        return self.loop_s / self.server_s

    @property
    def added_ms(self) -> float:
        """From the decoded tensor until the answer was read, without finishing and encoding; the median picture's.

        With one picture a request and one worker, pictures are decoded, encoded and answered in the same order.
        """
        kinds = (self.moments[kind] for kind in ("decoded", "encoding", "encoded"))
        answered = sorted(answer.answered for answer in self.answers)
        times = zip(*kinds, answered, strict=True)
        return 1000 * float(median(begun - decoded + end - encoded for decoded, begun, encoded, end in times))

    @property
    def busy_share(self) -> float:
        """Share of the time from the first picture's start to the last one's end in which the worker drew."""
        return Timeline(map(Span, self.moments["drawing"], self.moments["drawn"])).busy_share


Pairs = Mapping[int, Sequence[Pair]]
"""By the number of callers."""


def report(*, short: bool) -> list[Figure]:
    """Measure and print; returns the figures.

    Raises:
        ProgramError: The loop or the server does not start, or a request got no picture.
    """
    from bench.flux.loop import SHAPE, make_model  # noqa: PLC0415 - needs torch

    plan = SHORT if short else LONG
    print(f"flux server beside the bare diffusers loop, in turn, one torch thread each: {SHAPE}", flush=True)
    print(f"{plan.pictures} pictures a run, {plan.runs} of each kind: median (least to most)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        pairs = _compare(plan, make_model(Path(folder)), Path(folder, "stamps.jsonl"))
    print(f"{'at once':>8} {'server':>9} {'loop':>9} {'worker busy':>12}   reference, real model on an L40S")
    for callers, done in pairs.items():
        server_s = median(pair.server_s / len(pair.answers) for pair in done)
        loop_s = median(pair.loop_s / len(pair.answers) for pair in done)
        busy = median(pair.busy_share for pair in done)
        print(f"{callers:>8} {server_s:7.3f} s {loop_s:7.3f} s {busy:12.1%}   {_REFERENCE_S[callers]:.2f} s")
    return print_all(figures(pairs))


def figures(pairs: Pairs) -> Iterator[Figure]:
    """The loop's own scatter, and what is held against limits."""
    loop_s = [half["seconds"] / len(half["drawn"]) for done in pairs.values() for pair in done for half in pair.halves]
    yield Figure("the loop, in all its runs", loop_s, "s a picture", digits=3)
    for callers, done in pairs.items():
        name, throughput = f"{callers} at once", [pair.throughput for pair in done]
        yield Figure(f"{name}: throughput", throughput, "of the loop's", MIN_THROUGHPUT, at_least=True, digits=3)
        yield Figure(f"{name}: added", [pair.added_ms for pair in done], "ms a picture", MAX_ADDED_MS)


def _compare(plan: ComparisonPlan, model: Path, stamps: Path) -> Pairs:
    options = {"profile": "flux-schnell", "source": model.name, "dtype": "float32", "maxBatch": 1}
    environment = {"PIPELINE": "bench.flux.stamps:load", "MODELS_FOLDER": str(model.parent), FILE: str(stamps)}
    with running_loop(model) as loop, running_server(options, environment) as url:
        loop.wait_until_ready()
        loop.draw(DrawingWork(1))
        ask(url, DrawingWork(1), 1)
        pairs: dict[int, list[Pair]] = {callers: [] for callers in plan.callers}
        for _ in range(plan.runs):
            for callers, done in pairs.items():
                done.append(_pair(loop, url, plan.pictures, callers, stamps))
        return pairs


def _pair(loop: Loop, url: str, pictures: int, callers: int, stamps: Path) -> Pair:
    before = loop.draw(DrawingWork(pictures // 2))
    answers = ask(url, DrawingWork(pictures), callers)
    after = loop.draw(DrawingWork(pictures // 2))
    return Pair((before, after), answers, read_moments(stamps, since=min(answer.asked for answer in answers)))
