"""A load as an operator describes it: a number of pictures a day, a curve of rates, or a CSV file of arrivals."""

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from planning.simulation.load import Lengths, Load

HOUR_S, DAY_S = 3600.0, 86400.0
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_STEP = re.compile(r"(?:([a-z]{3}) +)?(\d{1,2}):(\d{2}) *= *(\S+)", re.IGNORECASE)
_COLUMNS = ("time", "seconds", "runtime")
_NO_COMMAS = {"semicolons": ";", "tabs": "\t"}
_MAX_ERRORS = 10
_WHOLE, _ROUNDING = 100.0, 0.5
MAX_JOBS = 10_000_000
MAX_SECONDS = DAY_S
"""Of a job; a longer one is a mistake."""
MAX_DAYS = 366
"""Of a file; with more, a date is wrong, or its times are milliseconds."""


class LoadError(ValueError):
    """A load that cannot be understood; the message says what is wrong, where, and what to write."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Pictures an hour, in steps over a day or a week that repeats.

    Attributes:
        steps: When each step begins, in seconds from the period's start, and its pictures an hour; in order from 0.
        period_s: A day, or a week that begins on Monday.
    """

    steps: tuple[tuple[float, float], ...]
    period_s: float = DAY_S

    def load(self, lengths: Lengths, seed: int) -> Load:
        """Jobs of one period that arrive independently of each other, as many as these rates make.

        Raises:
            LoadError: They are too many to be simulated.
        """
        ends = (*(start_s for start_s, _ in self.steps[1:]), self.period_s)
        jobs = sum(rate * (end_s - start_s) / HOUR_S for (start_s, rate), end_s in zip(self.steps, ends, strict=True))
        if jobs > MAX_JOBS:
            raise LoadError(
                f"{jobs:,.0f} pictures are too many to simulate: plan with at most {MAX_JOBS:,}, and multiply"
            )
        steps = [(start_s, rate / HOUR_S) for start_s, rate in self.steps]
        return Load.steps(steps, self.period_s, lengths, seed=seed)


def read_per_day(text: str) -> Curve:
    """Read a number of pictures a day, spread evenly.

    Raises:
        LoadError: It is not such a number.
    """
    return Curve(((0.0, _number(text, "pictures a day") / 24),))


def read_curve(text: str) -> Curve:
    """Read ``00:00=10,08:00=500``, or with days ``Mon 08:00=500,Sat 00:00=50``; a rate holds until the next.

    Raises:
        LoadError: It is not such a curve.
    """
    steps: dict[float, float] = {}
    has_days = set()
    for part in text.split(","):
        found = _STEP.fullmatch(part.strip())
        day, hour, minute, rate = found.groups() if found else (None, "24", "0", "0")
        name = day.lower() if day else None
        if int(hour) >= 24 or int(minute) >= 60 or (name is not None and name not in _DAYS):  # noqa: PLR2004
            raise LoadError(f"{part.strip()!r} is no step of a rate: write 08:00=500, or Mon 08:00=500 for a week")
        has_days.add(name is not None)
        if len(has_days) > 1:
            raise LoadError("either all steps of a rate have a day (Mon 08:00=500) or none has")
        at_s = (_DAYS.index(name) if name else 0) * DAY_S + int(hour) * HOUR_S + int(minute) * 60
        if at_s in steps:
            raise LoadError(f"{part.strip()!r} is the second rate from that time on")
        steps[at_s] = _number(rate, "pictures an hour")
    ordered = sorted(steps.items())
    if ordered[0][0] > 0:  # what holds at the end of a period holds on in the next
        ordered.insert(0, (0.0, ordered[-1][1]))
    return Curve(tuple(ordered), 7 * DAY_S if has_days.pop() else DAY_S)


def read_lengths(text: str) -> Sequence[tuple[float, float]]:
    """Read how long jobs take: ``1.5``, or ``1.5:80%,30:20%``; lengths in seconds, each with its share in per cent.

    Raises:
        LoadError: It is no such mix, or the shares are not 100 % together.
    """
    lengths = []
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        length, _, share = part.partition(":")
        if len(parts) > 1 and not share:
            raise LoadError(f"{part!r} has no share: write SECONDS:SHARE, as in 1.5:80%,30:20%")
        percent = _number(share.strip().removesuffix("%"), "per cent") if share else _WHOLE
        lengths.append((_seconds(length), percent))
    if abs(together := sum(share for _, share in lengths) - _WHOLE) > _ROUNDING:
        raise LoadError(f"the shares of {text!r} are {together + _WHOLE:g} % together, not 100 %")
    return lengths


@dataclass(slots=True)
class Arrivals:
    """Jobs of a runtime in a file: when each arrives, from the period's start, and its seconds; None: not said."""

    times: list[float] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)
    period_s: float = DAY_S
    """Whole days, from the last midnight before the first job to the first one after the last."""

    def load(self, lengths: Lengths, seed: int) -> Load:
        """The same jobs; those whose seconds the file does not say take one of the lengths."""
        drawn = Load.burst(len(self.times), lengths, seed=seed).seconds
        seconds = [own or other for own, other in zip(self.seconds, drawn, strict=True)]
        return Load(self.times, seconds, self.period_s)


def read_csv(path: Path, runtimes: Sequence[str], default: str | None) -> Mapping[str, Arrivals]:
    """Read a CSV file of arrivals: a time, and optionally the job's seconds and its runtime.

    Args:
        path: The file. Its first line may name the columns; where it has none of their names, they are time, seconds
            and runtime. Times are seconds, also since 1970, or dates with times in ISO's form.
        runtimes: The names that it may have.
        default: The runtime of jobs without one; None: each must have one.

    Returns:
        The jobs by runtime, in order of time. All have the same period.

    Raises:
        LoadError: The file cannot be read, or has errors; the first ones are given with their lines.
    """
    rows: list[tuple[float | datetime, float | None, str]] = []
    errors: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns: Sequence[str] = _COLUMNS
            for number, cells in enumerate(reader):
                if not any(cell.strip() for cell in cells):
                    continue
                if number == 0 and (named := _header(path, cells)):
                    columns = named
                    continue
                try:
                    rows.append(_row(dict(zip(columns, cells, strict=False)), runtimes, default))
                except LoadError as exc:
                    errors.append(f"line {reader.line_num}: {exc}")
    except OSError as exc:
        raise LoadError(f"{path}: {exc.strerror}") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise LoadError(f"{path} is no CSV file: {exc}") from exc
    if len({(isinstance(at, datetime), isinstance(at, datetime) and at.tzinfo is None) for at, _, _ in rows}) > 1:
        errors.append("all times must have the same form: seconds, dates with a time zone, or dates without one")
    if errors:
        more = f"\n  and {len(errors) - _MAX_ERRORS} more" if len(errors) > _MAX_ERRORS else ""
        listed = "".join(f"\n  {one}" for one in errors[:_MAX_ERRORS])
        raise LoadError(f"{path} has {len(errors)} error{'s' if len(errors) > 1 else ''}:{listed}{more}")
    if not rows:
        raise LoadError(f"{path} has no jobs: write a line for each, as 2026-11-30T08:00:00,1.5")
    by_runtime = _by_runtime(rows)
    if (days := next(iter(by_runtime.values())).period_s / DAY_S) > MAX_DAYS:
        raise LoadError(
            f"{path} has jobs over {days:,.0f} days: write times of at most {MAX_DAYS}, as seconds or as dates"
        )
    return by_runtime


def _header(path: Path, cells: Sequence[str]) -> list[str] | None:
    """The names of columns; None where the line is a job.

    Raises:
        LoadError: Some are no columns of a load, or commas do not separate them.
    """
    if other := next((name for name, mark in _NO_COMMAS.items() if mark in cells[0]), None):
        raise LoadError(f"{path} has {other} between its columns: write commas, as in 2026-11-30T08:00:00,1.5")
    names = [cell.strip().lower() for cell in cells]
    if not set(names).isdisjoint(_COLUMNS):
        if "time" not in names or not set(names) <= {*_COLUMNS, ""}:
            raise LoadError(
                f"{path} has the columns {', '.join(filter(None, names))}: those of a load are time, seconds, runtime"
            )
        return names
    return None if _is_time(names[0]) or not names[0].isidentifier() else [*_COLUMNS]


def _is_time(text: str) -> bool:
    try:
        _time(text)
    except LoadError:
        return False
    return True


def _row(
    cells: Mapping[str, str], runtimes: Sequence[str], default: str | None
) -> tuple[float | datetime, float | None, str]:
    at = _time(cells.get("time", ""))
    seconds = cells.get("seconds", "").strip()
    runtime = cells.get("runtime", "").strip() or default
    if runtime is None:
        raise LoadError(f"which runtime? There are {', '.join(runtimes)}; add a column, or --runtime")
    if runtime not in runtimes:
        raise LoadError(f"there is no runtime {runtime!r}; there are {', '.join(runtimes)}")
    return at, _seconds(seconds) if seconds else None, runtime


def _time(text: str) -> float | datetime:
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise LoadError(f"{text!r} is no time: write seconds, or 2026-11-30T08:00:00") from None


def _by_runtime(rows: Iterable[tuple[float | datetime, float | None, str]]) -> Mapping[str, Arrivals]:
    """The same by runtime, with times from the period's start."""
    dates = [at for at, _, _ in rows if isinstance(at, datetime)]
    midnight = min(dates).replace(hour=0, minute=0, second=0, microsecond=0) if dates else datetime.now(UTC)
    jobs = sorted(
        ((at - midnight) / timedelta(seconds=1) if isinstance(at, datetime) else at, seconds or 0.0, runtime)
        for at, seconds, runtime in rows
    )
    begins_s = jobs[0][0] // DAY_S * DAY_S  # seconds since 1970, too, are a few days and not fifty years
    period_s = (jobs[-1][0] // DAY_S + 1) * DAY_S - begins_s
    found: dict[str, Arrivals] = {}
    for at_s, seconds, runtime in jobs:
        arrivals = found.setdefault(runtime, Arrivals(period_s=period_s))
        arrivals.times.append(at_s - begins_s)
        arrivals.seconds.append(seconds or None)
    return found


def _seconds(text: str) -> float:
    """The seconds that a job takes."""
    seconds = _number(text, "seconds")
    if not 0 < seconds <= MAX_SECONDS:
        raise LoadError(f"a job cannot take {seconds:g} seconds: write more than 0, and at most {MAX_SECONDS:g}")
    return seconds


def _number(text: str, unit: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (math.isfinite(number) and number >= 0):
        raise LoadError(f"{text.strip()!r} is no number of {unit}: write one from 0")
    return number
