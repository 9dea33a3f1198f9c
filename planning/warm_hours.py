"""How many hours a month nodes are kept warm."""

from configuration.chart_values import Warm, WarmHours

_DAYS, _HOURS = 30, 720
_WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def warm_hours(warm: Warm) -> float:
    """Node hours that a runtime's placeholders keep in a month of thirty days.

    Hours that begin and end at a time of the day, on days of the week, are added up; others count as always, and hours
    that overlap count twice: it is never less than the truth.
    """
    each = min(sum(map(_hours, warm.schedule)), _HOURS) if warm.schedule else _HOURS
    return warm.nodes * each


def unkept_hours(warm: Warm) -> float:
    """Node hours of such a month in which the schedule of these nodes does not keep them."""
    return warm.nodes * _HOURS - warm_hours(warm)


def _hours(entry: WarmHours) -> float:
    start, end = entry.start.split(), entry.end.split()
    times = [*start[:2], *end[:2]]
    if not all(one.isdecimal() for one in times) or {*start[2:4], *end[2:4]} != {"*"}:
        return _HOURS
    minutes = (int(end[1]) - int(start[1])) * 60 + int(end[0]) - int(start[0])
    days = _days_a_week(start[4])
    return _HOURS if days is None else minutes % (24 * 60) / 60 * days / 7 * _DAYS


def _days_a_week(text: str) -> int | None:
    """How many days cron's last field names; None where it cannot be told."""
    if text == "*":
        return 7
    days: set[int] = set()
    for part in text.lower().split(","):
        first, _, last = part.partition("-")
        numbers = [
            _WEEK.index(one) if one in _WEEK else int(one) if one.isdecimal() else -1 for one in (first, last or first)
        ]
        if min(numbers) < 0 or numbers[1] < numbers[0]:
            return None
        days |= {day % 7 for day in range(numbers[0], numbers[1] + 1)}
    return len(days)
