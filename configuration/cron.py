"""Times as cron writes them, in the form that KEDA's cron trigger reads (github.com/robfig/cron, v3)."""

import re
from itertools import product
from zoneinfo import available_timezones

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM = re.compile(r"(?P<any>[*?])|(?P<first>[0-9]{1,2}|[a-z]{3})(-(?P<last>[0-9]{1,2}|[a-z]{3}))?")
_STEP = re.compile("(/0*[1-9][0-9]*)?")


def coming(cron: str) -> str:
    """Return a time of five fields as it is; ValueError if KEDA refuses it, or if it never comes.

    A time that never comes is, to KEDA, long past: hours that begin with it last for ever.
    """
    minute, hour, day, month, weekday = cron.lower().split()
    _firsts("minute", minute, range(60))
    _firsts("hour", hour, range(24))
    days = _firsts("day of the month", day, range(1, 32))
    months = _firsts("month", month, range(1, 13), _MONTHS)
    _firsts("day of the week", weekday, range(7), _DAYS)
    # Where there is a day of the week, too, either of the two is enough.
    if weekday[0] in "*?" and all(day > _LONGEST_MONTHS[month - 1] for day, month in product(days, months)):
        raise ValueError("there is no such day in that month")
    return cron


def known_timezone(name: str) -> str:
    """Return the name of a timezone as it is; ValueError if there is none, as far as this machine knows any."""
    known = available_timezones()
    if known and name not in known:
        near = [one for one in sorted(known) if one.lower().endswith(name.lower())]
        raise ValueError(f"there is no timezone {name}" + (f"; is it {near[0]}?" if near else "; one is Europe/Berlin"))
    return name


def _firsts(what: str, field: str, numbers: range, names: tuple[str, ...] = ()) -> list[int]:
    """The first number of each item of a field; ValueError for one that is out of range."""
    by_name = {name: number for number, name in enumerate(names, numbers.start)}
    by_name |= {format(number, width): number for number in numbers for width in ("d", "02d")}
    firsts = []
    for item in field.split(","):
        found = _ITEM.match(item)
        if found is None or not _STEP.fullmatch(item, found.end()):
            raise ValueError(f"{item} is no {what}")
        if found["any"]:
            firsts.append(numbers.start)
            continue
        ends = [found["first"], found["last"] or found["first"]]
        if wrong := [end for end in ends if end not in by_name]:
            most = f", which is {numbers[0]} to {numbers[-1]}" + (f" or {names[0]} to {names[-1]}" if names else "")
            raise ValueError(f"{wrong[0]} is no {what}{most}")
        first, last = (by_name[end] for end in ends)
        if first > last:
            raise ValueError(f"{item} ends before it begins; write two ranges")
        firsts.append(first)
    return firsts
