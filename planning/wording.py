"""How bills and times read in a terminal."""

from collections.abc import Iterable, Iterator

from planning.bill import Line

_SMALL_USD = 0.5
_MINUTE_S = 60
_EXACT_MIN = 10
"""From so many minutes on, seconds are left out."""


def bill_lines(lines: Iterable[Line]) -> Iterator[str]:
    """A bill by service and unit, with what is small as one line, and the sum."""
    together: dict[tuple[str, str], tuple[float, float]] = {}
    for line in lines:
        quantity, usd = together.get((line.service, line.unit), (0.0, 0.0))
        together[line.service, line.unit] = quantity + line.quantity, usd + line.usd
    rows = [(f"{service}, {unit}", f"{quantity:,.2f}", usd) for (service, unit), (quantity, usd) in together.items()]
    shown = [row for row in rows if row[2] >= _SMALL_USD]
    small = [usd for _, _, usd in rows if usd < _SMALL_USD]
    if small:
        shown.append((f"{counted(len(small), 'line')} of less than ${_SMALL_USD:.2f}", "", sum(small)))
    shown.append(("Together", "", sum(usd for _, _, usd in rows)))
    width = max(len(name) for name, _, _ in shown)
    for name, count, usd in shown:
        yield f"  {name:<{width}}  {count:>12}  {usd:>10,.2f}"


def seconds(number: float) -> str:
    """So many seconds in words, as ``4.2 s``, ``2 min 30 s``, ``12 min`` or ``3 h 20 min``."""
    if number < 2 * _MINUTE_S:
        return f"{number:.1f} s" if 0 < number < 10 else f"{number:.0f} s"  # noqa: PLR2004
    if number < _EXACT_MIN * _MINUTE_S:
        minutes, rest = divmod(round(number), _MINUTE_S)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(number / _MINUTE_S)
    return f"{minutes} min" if minutes < 2 * 60 else f"{minutes // 60} h {minutes % 60:02} min"


def counted(number: int, thing: str) -> str:
    """So many of a thing, as ``1 job`` or ``53,352 jobs``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
