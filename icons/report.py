"""What the library saves, and what to do about it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from icons.counters import HitCount, Tallies
from icons.icon import Icon, IconSource, IconStatus
from icons.library import IconLibrary
from icons.needs import NeedRecord

DAYS = 30
"""Days over which drawn icons are averaged."""
PUBLISH_HITS = 3
"""A drawn icon that was found so often again is worth publishing."""
DELETE_DAYS = 30
"""One that nobody has found again for so long may go."""
_DAY_S = 24 * 3600
_MAX_ROWS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """In dollars.

    Attributes:
        hosted: A picture at a hosted API.
        gpu_hour: An hour of the GPU that draws.
    """

    hosted: float = 0.003
    gpu_hour: float = 1.1724

    @property
    def break_even(self) -> int:
        """So many pictures a day cost as much at the hosted API as the GPU does."""
        return round(24 * self.gpu_hour / self.hosted)


@dataclass(frozen=True, slots=True, kw_only=True)
class IconRow:
    """An icon of the report; ``last_s`` is when it was found last, seconds since 1970."""

    icon: Icon
    hits: int
    last_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IconReport:
    """The report; counts are of the last 90 days.

    Attributes:
        icons: In the library.
        candidates: Of these, drawn and not published.
        hits: How often it had what was asked for.
        misses: How often it had not.
        drawn: Icons that jobs were submitted for.
        drawn_a_day: Their average over the last DAYS days.
        saved: Dollars that hits would have cost at the hosted API.
        break_even: See ``Prices``.
        most_hit: The icons that are found most.
        most_missed: The needs that were asked for most before the library had an icon, or that it has none for.
        most_drawn: Drawn icons with the needs that led to them, by how many requests each has answered.
        missed_categories: Misses by the category of the nearest icon.
        publish: Candidates that are found again and again.
        delete: Candidates that nobody finds.
        is_complete: Whether all that was counted was read.
    """

    icons: int
    candidates: int
    hits: int
    misses: int
    drawn: int
    drawn_a_day: float
    saved: float
    break_even: int
    most_hit: Sequence[IconRow]
    most_missed: Sequence[NeedRecord]
    most_drawn: Sequence[NeedRecord]
    missed_categories: Mapping[str, int]
    publish: Sequence[IconRow]
    delete: Sequence[IconRow]
    is_complete: bool

    @property
    def hit_rate(self) -> float | None:
        """Share of requests that the library answered; None without requests."""
        asked = self.hits + self.misses
        return None if asked == 0 else self.hits / asked


def report_of(library: IconLibrary, tallies: Tallies, prices: Prices, now_s: float) -> IconReport:
    """Draw up the report."""
    rows = [_row(icon, tallies.hits.get(icon.key)) for icon in library.icons.values()]
    candidates = [row for row in rows if row.icon.status is IconStatus.CANDIDATE]
    drawn_at = {need.icon: need.begun_s for need in tallies.needs if need.icon is not None}
    today = datetime.fromtimestamp(now_s, UTC).date()
    lately = sum(count for day, count in tallies.drawn.items() if day > today - timedelta(days=DAYS))
    hits = sum(one.hits for one in tallies.hits.values())
    needs = sorted(tallies.needs, key=lambda one: (-one.asked, one.need.query))
    categories: Counter[str] = Counter()
    for need in needs:
        categories[need.category or "none"] += need.asked

    def served(need: NeedRecord) -> int:
        count = tallies.hits.get(need.icon or "")
        return need.asked + (count.hits if count else 0)

    def is_forgotten(row: IconRow) -> bool:
        last_s = max(row.last_s or 0, drawn_at.get(row.icon.key, 0))
        return row.hits < PUBLISH_HITS and last_s < now_s - DELETE_DAYS * _DAY_S

    return IconReport(
        icons=len(rows),
        candidates=len(candidates),
        hits=hits,
        misses=sum(need.asked for need in needs),
        drawn=sum(tallies.drawn.values()),
        drawn_a_day=round(lately / DAYS, 2),
        saved=round(hits * prices.hosted, 4),
        break_even=prices.break_even,
        most_hit=_most([row for row in rows if row.hits]),
        most_missed=[need for need in needs if need.icon is None][:_MAX_ROWS],
        most_drawn=sorted((need for need in needs if need.icon is not None), key=served, reverse=True)[:_MAX_ROWS],
        missed_categories=dict(categories.most_common()),
        publish=_most([row for row in candidates if row.hits >= PUBLISH_HITS]),
        delete=[row for row in candidates if row.icon.source is IconSource.DRAWN and is_forgotten(row)][:_MAX_ROWS],
        is_complete=tallies.is_complete,
    )


def _row(icon: Icon, count: HitCount | None) -> IconRow:
    return IconRow(icon=icon, hits=count.hits if count else 0, last_s=count.last_s if count else None)


def _most(rows: Sequence[IconRow]) -> list[IconRow]:
    return sorted(rows, key=lambda row: (-row.hits, row.icon.key))[:_MAX_ROWS]
