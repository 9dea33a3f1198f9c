"""Computes from labelled queries when a match is good enough: as many right icons as possible, hardly a wrong one.

Weights of evidence come from a logistic regression over the icons that a search finds for each query. The threshold is
the one at which right icons are the most, where a wrong one takes away ``WRONG_WEIGHS``. Every second query is held
out: figures are computed from those.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from icons.calibration import ANY, Calibration, table_name
from icons.embeddings import Embedder
from icons.search import IconSearch, Match, rankings_agree
from icons.text import LANGUAGES, Language, language_of

CALIBRATE = "calibrate"
"""The part of the queries that is learned from."""
WRONG_WEIGHS = 10
"""So many right icons make up for a wrong one: a picture that is drawn instead costs a second and $0.003."""
MIN_QUERIES = 20
"""With an icon and without, of a language; from fewer nothing can be learned."""
_WORDS = ("coverage", "agreement", "said", "word_lead")
_WEIGHED = ("similarity", "lead", *_WORDS)
_WEIGHED_WITHOUT_SIMILARITIES = ("rank", *_WORDS)
_LEARNED_FROM = 20
"""Icons of each query."""
_CONVERGED = 1e-9
_RIDGE = 2.0
"""Keeps weights small that a few queries would make large."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """A query and what a person would accept.

    Attributes:
        text: The query.
        keys: Icons that answer it; none if the library has no such icon.
        part: ``CALIBRATE`` if something is learned from it; the name of another part if it only judges.
    """

    text: str
    keys: frozenset[str]
    part: str

    @property
    def language(self) -> Language:
        """Its language."""
        return language_of(self.text)


@dataclass(frozen=True, slots=True)
class Quality:
    """How a search does, in numbers of queries.

    Attributes:
        hits: Queries with an icon.
        found: Those whose best match is right.
        accepted: Those whose accepted match is right.
        wrong: Those whose accepted match is wrong.
        misses: Queries without an icon.
        false: Those with an accepted match.
    """

    hits: int
    found: int
    accepted: int
    wrong: int
    misses: int
    false: int


def read_queries(path: Path) -> list[LabelledQuery]:
    """Read a JSON list of ``{"query": …, "keys": […], "part": …}``.

    Where the part is missing, every second query of a language is held out, of those with an icon and of those without.
    """
    queries, seen = [], Counter[tuple[Language, bool]]()
    for one in json.loads(path.read_text(encoding="utf-8")):
        kind = (language_of(one["query"]), bool(one["keys"]))
        part = one.get("part", (CALIBRATE, "hold-out")[seen[kind] % 2])
        seen[kind] += 1
        queries.append(LabelledQuery(one["query"], frozenset(one["keys"]), part))
    return queries


def by_part(queries: Iterable[LabelledQuery]) -> dict[tuple[str, Language], list[LabelledQuery]]:
    """Those from which nothing is learned, by part and language."""
    parts: dict[tuple[str, Language], list[LabelledQuery]] = {}
    for query in queries:
        if query.part != CALIBRATE:
            parts.setdefault((query.part, query.language), []).append(query)
    return parts


NEUTRAL = Calibration(
    {
        ANY: {
            language: {"weights": {"rank": 1.0, "coverage": 1.0}, "bias": 0.0, "threshold": 1.0}
            for language in LANGUAGES
        }
    }
)
"""For the search that is calibrated: what was learned before does not count."""


def calibrated(
    search: IconSearch, embedder: Embedder, queries: Sequence[LabelledQuery], today: date, *, general: bool = False
) -> Calibration:
    """The table for an embedder; with ``general`` also the one for embedders that have none.

    Raises:
        ValueError: There are too few queries of a language.
    """
    learned = [query for query in queries if query.part == CALIBRATE]
    matches = {query: search.search(query.text, _LEARNED_FROM).matches for query in learned}
    weighed = {table_name(embedder): _WEIGHED} | ({ANY: _WEIGHED_WITHOUT_SIMILARITIES} if general else {})
    head = {"date": today.isoformat(), "queries": len(learned), "icons": len(search.library.icons)}
    return Calibration(
        {
            name: head
            | {
                language: _judgement(
                    {one: matches[one] for one in learned if one.language == language}, language, names, embedder
                )
                for language in LANGUAGES
            }
            for name, names in weighed.items()
        }
    )


def quality(search: IconSearch, queries: Sequence[LabelledQuery]) -> Quality:
    """Try queries."""
    tried = [(query, search.search(query.text, 1)) for query in queries]
    hits = [(query, result) for query, result in tried if query.keys]
    misses = [result for query, result in tried if not query.keys]
    accepted = [(query, result.accepted) for query, result in hits if result.accepted]
    right = sum(match.icon.key in query.keys for query, match in accepted)
    return Quality(
        hits=len(hits),
        found=sum(bool(result.matches) and result.matches[0].icon.key in query.keys for query, result in hits),
        accepted=right,
        wrong=len(accepted) - right,
        misses=len(misses),
        false=sum(result.accepted is not None for result in misses),
    )


def _judgement(
    matches: Mapping[LabelledQuery, Sequence[Match]], language: Language, weighed: Sequence[str], embedder: Embedder
) -> dict[str, Any]:
    hits = sum(bool(query.keys) for query in matches)
    if min(hits, len(matches) - hits) < MIN_QUERIES:
        raise ValueError(
            f"{hits} queries in {language} with an icon and {len(matches) - hits} without, every second one given, are "
            f"too few to learn from; at least {MIN_QUERIES} of each are needed: give twice as many"
        )
    # What is called so is accepted whatever its score.
    judged = {query: found for query, found in matches.items() if found and not found[0].is_called_so}
    pairs = [(query, match) for query, found in judged.items() for match in found]
    evidence = np.array([[getattr(match.evidence, name) for name in weighed] for _, match in pairs])
    is_right = np.array([match.icon.key in query.keys for query, match in pairs], float)
    bias, weights = _regression(evidence, is_right)
    if (weights < 0).any():
        # What speaks for an icon never speaks against it, whatever these few queries say.
        kept = [name for name, weight in zip(weighed, weights, strict=True) if weight >= 0]
        return _judgement(matches, language, kept, embedder)
    best = []
    for query, found in judged.items():
        chances = _sigmoid(
            bias + np.array([[getattr(one.evidence, name) for name in weighed] for one in found]) @ weights
        )
        first = found[int(np.argmax(chances))]
        if rankings_agree(first, embedder):
            best.append((float(chances.max()), first.icon.key in query.keys))
    return {
        "weights": {name: round(float(weight), 3) for name, weight in zip(weighed, weights, strict=True)},
        "bias": round(bias, 3),
        "threshold": round(_threshold(best) + 0.002, 3),
    }


def _threshold(best: Sequence[tuple[float, bool]]) -> float:
    """The chance that is not enough any more, from the chance of each query's best match and whether it is right."""
    ranked = sorted(best, reverse=True)
    gains = np.cumsum([1 if is_right else -WRONG_WEIGHS for _, is_right in ranked])
    accepted = int(np.argmax(gains)) + 1 if gains.max(initial=0) > 0 else 0
    return ranked[accepted][0] if accepted < len(ranked) else 0.0


def _regression(evidence: Doubles, is_right: Doubles) -> tuple[float, Doubles]:
    """Logistic regression by Newton's method, with a ridge on the standardized weights; bias and weights."""
    mean, deviation = evidence.mean(axis=0), evidence.std(axis=0) + 1e-9
    rows = np.column_stack([np.ones(len(evidence)), (evidence - mean) / deviation])
    ridge = np.diag([0.0, *[_RIDGE] * evidence.shape[1]])
    found = np.zeros(rows.shape[1])
    for _ in range(100):
        chance = _sigmoid(rows @ found)
        gradient = rows.T @ (chance - is_right) + ridge @ found
        step = np.linalg.solve((rows.T * (chance * (1 - chance))) @ rows + ridge, gradient)
        found -= step
        if np.abs(step).max() < _CONVERGED:
            break
    weights = found[1:] / deviation
    return float(found[0] - mean @ weights), weights


def _sigmoid(values: Doubles) -> Doubles:
    return np.asarray(1 / (1 + np.exp(-values)))
