"""The server beside the bare loop, in turn, with the same work."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.agent.timeline import Span
from bench.figures import Figure
from bench.flux.callers import Answer, ask
from bench.flux.programs import Loop, LoopRun, running_loop, running_server
from bench.flux.stamps import FILE, Stamp, read_stamps
from bench.flux.work import Work

MIN_THROUGHPUT = 0.98
MAX_ADDED_MS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured: pictures in each run, an even number, and runs of each number of callers."""

    runs: int
    pictures: int
    callers: Sequence[int]


LONG = Plan(runs=3, pictures=20, callers=(1, 3, 10, 20))
SHORT = Plan(runs=1, pictures=4, callers=(1, 3))


@dataclass(frozen=True, slots=True)
class ServerRun:
    """What the server did; a stamp for each answer."""

    answers: Sequence[Answer]
    stamps: Sequence[Stamp]

    @property
    def seconds(self) -> float:
        """From the first request until the last answer was read."""
        return max(answer.answered for answer in self.answers) - min(answer.asked for answer in self.answers)

    @property
    def added_ms(self) -> float:
        """What the server adds to a picture between the decoded tensor and the answer, besides encoding; the median."""
        pairs = zip(self.answers, self.stamps, strict=True)
        return 1000 * median(stamp.added_s(answer.answered) for answer, stamp in pairs)

    @property
    def drawn(self) -> tuple[Span, ...]:
        """When its worker drew."""
        return tuple(Span(stamp.began, stamp.drawn, f"picture-{at}") for at, stamp in enumerate(self.stamps))


@dataclass(frozen=True, slots=True)
class Pair:
    """The server, and the loop with half of the same work before it and half after: so the machine's moods even out."""

    halves: tuple[LoopRun, LoopRun]
    server: ServerRun

    @property
    def loop_s(self) -> float:
        """How long the loop took for the same work."""
        return sum(half.seconds for half in self.halves)

    @property
    def throughput(self) -> float:
        """The server's, as a share of the loop's."""
        return self.loop_s / self.server.seconds


Pairs = Mapping[int, Sequence[Pair]]
"""By the number of callers."""


def compare(plan: Plan, model: Path, stamps: Path) -> Pairs:
    """Measure.

    Args:
        plan: How much.
        model: The model's folder.
        stamps: The file that the server's moments are written to.

    Raises:
        ProgramError: The loop or the server does not start.
        CallError: A request got no picture.
    """
    options = {"profile": "flux-schnell", "source": model.name, "dtype": "float32", "maxBatch": 1}
    environment = {"PIPELINE": "bench.flux.stamped:load", "MODELS_FOLDER": str(model.parent), FILE: str(stamps)}
    with ExitStack() as stack:
        loop = stack.enter_context(running_loop(model))
        port = stack.enter_context(running_server(options, environment))
        loop.wait_until_ready()
        loop.draw(Work(1))
        ask(port, Work(1), 1)
        pairs: dict[int, list[Pair]] = {callers: [] for callers in plan.callers}
        for _ in range(plan.runs):
            for callers, done in pairs.items():
                done.append(_pair(loop, port, Work(plan.pictures), callers, stamps))
        return pairs


def _pair(loop: Loop, port: int, work: Work, callers: int, stamps: Path) -> Pair:
    half = Work(work.pictures // 2)
    before = loop.draw(half)
    answers = sorted(ask(port, work, callers), key=lambda answer: answer.answered)
    after = loop.draw(half)
    by_job = read_stamps(stamps)
    return Pair((before, after), ServerRun(answers, [by_job[answer.job] for answer in answers]))


def figures(pairs: Pairs) -> Iterator[Figure]:
    """The loop's own scatter, and what is held against limits."""
    loop_s = [half.seconds / len(half.drawn) for done in pairs.values() for pair in done for half in pair.halves]
    yield Figure("the loop, in all its runs", loop_s, "s a picture", digits=3)
    for callers, done in pairs.items():
        throughput = [pair.throughput for pair in done]
        name, unit = f"{callers} at once: throughput", "of the loop's"
        yield Figure(name, throughput, unit, MIN_THROUGHPUT, at_least=True, digits=3)
        yield Figure(f"{callers} at once: added", [pair.server.added_ms for pair in done], "ms a picture", MAX_ADDED_MS)
