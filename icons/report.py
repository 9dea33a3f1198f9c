"""What the library saves, and what to do about it: the data of the report, and its page."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape

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
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2.2rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem}
dl div{border:1px solid #d7dce2;border-radius:.5rem;padding:.6rem .9rem}dt{color:#5b6570}dd{margin:0;font-size:1.4rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e4e8ec}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}img{width:2.5rem;height:2.5rem;object-fit:contain}
.none{color:#5b6570}
"""


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


def page(report: IconReport, picture_of: Callable[[Icon], str | None]) -> str:
    """The report as a page without scripts. ``picture_of`` gives an icon's URL, or None to leave its picture out."""
    rate = "-" if report.hit_rate is None else f"{report.hit_rate:.0%}"
    figures = {
        "Icons": f"{report.icons:,}",
        "Candidates": f"{report.candidates:,}",
        "Hits": f"{report.hits:,}",
        "Misses": f"{report.misses:,}",
        "Hit rate": rate,
        "Drawn": f"{report.drawn:,}",
        "Saved": f"${report.saved:,.2f}",
        f"Drawn a day ({DAYS} days)": f"{report.drawn_a_day:,.1f}",
        "Break-even a day": f"{report.break_even:,}",
    }
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures.items())
    partial = "" if report.is_complete else "<p>There is more than one report can read: the lists are incomplete.</p>"
    icons = ("", "Icon", "Description", "Hits")
    needs = ("Query", "Style", "Nearest category", "Asked for", "Outcome")

    def icon_rows(rows: Sequence[IconRow]) -> list[list[str]]:
        return [
            [_picture(picture_of(row.icon)), escape(row.icon.key), escape(row.icon.description), f"{row.hits:,}"]
            for row in rows
        ]

    def need_rows(rows: Sequence[NeedRecord]) -> list[list[str]]:
        outcomes = (row.icon or (row.error.code if row.error else "being drawn") for row in rows)
        return [
            [escape(row.need.query), escape(row.need.style), escape(row.category), f"{row.asked:,}", escape(outcome)]
            for row, outcome in zip(rows, outcomes, strict=True)
        ]

    categories = [[escape(name), f"{count:,}"] for name, count in report.missed_categories.items()]
    sections = [
        ("Publish these: drawn, and found again and again", icons, icon_rows(report.publish)),
        (f"Delete these: drawn, and not found for {DELETE_DAYS} days", icons, icon_rows(report.delete)),
        ("Asked for most without an icon", needs, need_rows(report.most_missed)),
        ("Drawn for most requests", needs, need_rows(report.most_drawn)),
        ("Misses by the category of the nearest icon", ("Category", "Misses"), categories),
        ("Found most", icons, icon_rows(report.most_hit)),
    ]
    body = "".join(f"<h2>{escape(heading)}</h2>{_table(head, rows)}" for heading, head, rows in sections)
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Icon library</title><style>{_STYLE}</style>'
    return f"{head}<h1>Icon library, the last 90 days</h1>{partial}<dl>{shown}</dl>{body}</html>"


def policy(pictures: str = "") -> str:
    """The page's Content-Security-Policy: its own style, pictures from origins with spaces between them, no more."""
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    shown = f"img-src {pictures}; " if pictures else ""
    rest = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"default-src 'none'; style-src 'sha256-{style}'; {shown}{rest}"


def _picture(url: str | None) -> str:
    return "" if url is None else f'<img src="{escape(url, quote=True)}" alt="" loading="lazy">'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return '<p class="none">None.</p>'
    numbers = {at for at, name in enumerate(head) if name in {"Hits", "Asked for", "Misses"}}
    classes = ['class="n"' if at in numbers else "" for at in range(len(head))]
    names = "".join(f"<th {kind}>{escape(name)}</th>" for kind, name in zip(classes, head, strict=True))
    lines = ("".join(f"<td {kind}>{cell}</td>" for kind, cell in zip(classes, row, strict=True)) for row in rows)
    return f"<table><tr>{names}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
