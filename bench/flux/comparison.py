"""Compares the server with the bare loop: both do the same work in turn."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.agent.timeline import Span, Timeline
from bench.figures import Figure, print_all
from bench.flux.programs import DrawingWork, ServerAnswer, ask, running_loop, running_server, seconds_of
from bench.flux.stamps import FILE, Moments, read_moments

MIN_THROUGHPUT = 0.98
MAX_ADDED_MS = 10
_LONG, _SHORT = (3, 20, (1, 3, 10, 20)), (1, 4, (1, 3))
"""Runs, pictures per run (an even number), and numbers of callers."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A run of the server, between two halves of the loop's run, so that changes of the machine's speed even out."""

    loop_s: float
    answers: Sequence[ServerAnswer]
    moments: Moments

    @property
    def added_ms(self) -> float:
        """From the decoded tensor until the answer was read, without finishing and encoding; the median picture's.

        With one picture per request and one worker, decoding, encoding and answers have the same order.
        """
        kinds = (self.moments[kind] for kind in ("decoded", "encoding", "encoded"))
        times = zip(*kinds, sorted(answer.answered for answer in self.answers), strict=True)
        return 1000 * float(median(begun - decoded + end - encoded for decoded, begun, encoded, end in times))

    @property
    def busy_share(self) -> float:
        """Share of time in which the worker drew, from the start of the first picture to the end of the last."""
        return Timeline(map(Span, self.moments["drawing"], self.moments["drawn"])).busy_share


def report(*, short: bool) -> list[Figure]:
    """Measure and print; return the figures."""
    from bench.flux.loop import SHAPE, make_model  # noqa: PLC0415 - needs torch

    runs, pictures, callers = _SHORT if short else _LONG
    print(f"flux server and the bare diffusers loop, in turn, one torch thread each: {SHAPE}", flush=True)
    print(f"{pictures} pictures a run, {runs} of each kind: median (minimum to maximum)", flush=True)
    pairs: dict[int, list[Pair]] = {number: [] for number in callers}
    with tempfile.TemporaryDirectory() as folder:
        model, stamps = make_model(Path(folder)), Path(folder, "stamps.jsonl")
        options = {"profile": "flux-schnell", "source": model.name, "dtype": "float32", "maxBatch": 1}
        environment = {"PIPELINE": "bench.flux.stamps:load", "MODELS_FOLDER": folder, FILE: str(stamps)}
        with running_loop(model) as draw, running_server(options, environment) as url:
            draw(DrawingWork(1))
            ask(url, DrawingWork(1), 1)
            for _ in range(runs):
                for number, done in pairs.items():
                    loop_s = draw(DrawingWork(pictures // 2))
                    answers = ask(url, DrawingWork(pictures), number)
                    loop_s += draw(DrawingWork(pictures // 2))
                    done.append(Pair(loop_s, answers, read_moments(stamps, since=min(answers).asked)))
    print(f"{'at once':>8} {'server':>9} {'loop':>9} {'worker busy':>12}")
    for number, done in pairs.items():
        server_s = median(seconds_of(pair.answers) for pair in done) / pictures
        loop_s = median(pair.loop_s for pair in done) / pictures
        busy = median(pair.busy_share for pair in done)
        print(f"{number:>8} {server_s:7.3f} s {loop_s:7.3f} s {busy:12.1%}")
    return print_all(figures(pairs))


def figures(pairs: Mapping[int, Sequence[Pair]]) -> Iterator[Figure]:
    """The loop's variance, and for each number of callers the figures with limits."""
    loop_s = [pair.loop_s / len(pair.answers) for done in pairs.values() for pair in done]
    yield Figure("the loop, in all its runs", loop_s, "s a picture", digits=3)
    for callers, done in pairs.items():
        name, throughput = f"{callers} at once", [pair.loop_s / seconds_of(pair.answers) for pair in done]
        yield Figure(f"{name}: throughput", throughput, "of the loop's", MIN_THROUGHPUT, at_least=True, digits=3)
        yield Figure(f"{name}: added", [pair.added_ms for pair in done], "ms a picture", MAX_ADDED_MS)
