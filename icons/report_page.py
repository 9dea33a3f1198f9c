"""The report as a page."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from html import escape

from icons.icon import Icon
from icons.needs import NeedRecord
from icons.report import DAYS, DELETE_DAYS, IconReport, IconRow

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2.2rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem}
dl div{border:1px solid #d7dce2;border-radius:.5rem;padding:.6rem .9rem}dt{color:#5b6570}dd{margin:0;font-size:1.4rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e4e8ec}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}img{width:2.5rem;height:2.5rem;object-fit:contain}
.none{color:#5b6570}
"""


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
