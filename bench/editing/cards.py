"""One case of the report: what was asked, the pictures side by side, its figures, and a place to rate it."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from bench.editing.cases import Case
from bench.editing.embedding import Shown, shown_pictures
from bench.editing.results import CaseResult, Scores
from bench.editing.summary import NONE, seconds

RATINGS = range(1, 6)


def card(case: Case, result: CaseResult, folder: Path, out: Path) -> str:
    """Write a case as HTML; whatever comes from outside is escaped."""
    pictures = shown_pictures(
        folder / case.input if case.input else None,
        out / result.picture if result.picture else None,
        folder / case.reference if case.reference else None,
    )
    failed = f'<p class="problem">{escape(result.problem)}</p>' if result.problem else ""
    state = "failed" if result.problem else "made"
    return f"""
<article class="case" id="{escape(case.id)}" data-kind="{escape(case.kind)}" data-state="{state}">
<header><h3>{escape(case.id)}</h3><p>{escape(case.instructions or case.prompt)}</p></header>
{failed}
<div class="pictures">{"".join(map(_figure, pictures))}</div>
<footer><dl>{"".join(_facts(result))}</dl>{_rating(case) if result.picture else ""}</footer>
</article>"""


def _figure(shown: Shown) -> str:
    title = escape(shown.title)
    inner = (
        f'<img src="{shown.source}" alt="{title}" loading="lazy">' if shown.source else '<div class="none">none</div>'
    )
    return f"<figure>{inner}<figcaption>{title}</figcaption></figure>"


def _facts(result: CaseResult) -> Sequence[str]:
    timings = result.timings
    facts = {
        "latency": seconds(timings.total_s if timings else None),
        "in the server": seconds(timings.server_s if timings else None),
        **_scores(result.scores, result.unedited),
    }
    return [f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items() if value != NONE]


def _scores(scores: Scores | None, unedited: Scores | None) -> dict[str, str]:
    if scores is None:
        return {}
    unchanged = f" (unedited {unedited.ssim:.4f})" if unedited else ""
    lpips = NONE if scores.lpips is None else f"{scores.lpips:.4f}"
    return {"PSNR": f"{scores.psnr_db:.2f} dB", "SSIM": f"{scores.ssim:.4f}{unchanged}", "LPIPS": lpips}


def _rating(case: Case) -> str:
    name = escape(case.id)
    choices = "".join(
        f'<label><input type="radio" name="rating-{name}" value="{value}"><span>{value}</span></label>'
        for value in RATINGS
    )
    return f'<fieldset class="rating" data-case="{name}"><legend>bad to good</legend>{choices}</fieldset>'
