"""Computes from labelled queries when a match is good enough: as many right icons as possible, hardly a wrong one.

Weights of evidence come from a logistic regression over the icons that a search finds for each query; the threshold is
the lowest one at which at most ``MAX_WRONG`` of the queries get a wrong icon. Every second query is held out: figures
are computed from those.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from icons.calibration import ANY, Calibration, table_name
from icons.embeddings import Embedder
from icons.search import IconSearch, Match
from icons.text import LANGUAGES, Language, language_of

MAX_WRONG = 0.015
"""Of the queries: a wrong icon is worse than a drawn one, which costs a second and $0.003."""
MIN_QUERIES = 20
"""With an icon and without, of a language; from fewer nothing can be learned."""
_WEIGHED = ("similarity", "lead", "coverage", "agreement")
_WEIGHED_WITHOUT_SIMILARITIES = ("rank", "coverage", "agreement")
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
        is_held_out: Whether nothing is learned from it.
    """

    text: str
    keys: frozenset[str]
    is_held_out: bool

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
    """Read a JSON list of ``{"query": …, "keys": […]}``.

    ``"part": "hold-out"`` or ``"calibrate"`` divides them. Where it is missing, every second query of a language is
    held out, of those with an icon and of those without.
    """
    queries, seen = [], Counter[tuple[Language, bool]]()
    for one in json.loads(path.read_text(encoding="utf-8")):
        kind = (language_of(one["query"]), bool(one["keys"]))
        part = one.get("part", ("calibrate", "hold-out")[seen[kind] % 2])
        seen[kind] += 1
        queries.append(LabelledQuery(one["query"], frozenset(one["keys"]), part != "calibrate"))
    return queries


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
    learned = [query for query in queries if not query.is_held_out]
    matches = {query: search.search(query.text, _LEARNED_FROM).matches for query in learned}
    weighed = {table_name(embedder): _WEIGHED} | ({ANY: _WEIGHED_WITHOUT_SIMILARITIES} if general else {})
    head = {"date": today.isoformat(), "queries": len(learned), "icons": len(search.library.icons)}
    return Calibration(
        {
            name: head
            | {
                language: _judgement(
                    {one: matches[one] for one in learned if one.language == language}, language, names
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
    matches: Mapping[LabelledQuery, Sequence[Match]], language: Language, weighed: Sequence[str]
) -> dict[str, Any]:
    hits = sum(bool(query.keys) for query in matches)
    if min(hits, len(matches) - hits) < MIN_QUERIES:
        raise ValueError(
            f"{hits} queries in {language} with an icon and {len(matches) - hits} without, every second one given, are "
            f"too few to learn from; at least {MIN_QUERIES} of each are needed: give twice as many"
        )
    pairs = [(query, match) for query, found in matches.items() for match in found]
    evidence = np.array([[getattr(match.evidence, name) for name in weighed] for _, match in pairs])
    is_right = np.array([match.icon.key in query.keys for query, match in pairs], float)
    bias, weights = _regression(evidence, is_right)
    if (weights < 0).any():
        # What speaks for an icon never speaks against it, whatever these few queries say.
        return _judgement(
            matches, language, [name for name, weight in zip(weighed, weights, strict=True) if weight >= 0]
        )
    chances = dict(
        zip(((query, match.icon.key) for query, match in pairs), _sigmoid(bias + evidence @ weights), strict=True)
    )
    wrong = []
    for query, found in matches.items():
        best = max(((chances[query, match.icon.key], match.icon.key) for match in found), default=(0.0, ""))
        if best[1] not in query.keys:
            wrong.append(float(best[0]))
    threshold = sorted([*wrong, 0.0], reverse=True)[min(int(MAX_WRONG * len(matches)), len(wrong))]
    return {
        "weights": {name: round(float(weight), 3) for name, weight in zip(weighed, weights, strict=True)},
        "bias": round(bias, 3),
        "threshold": round(threshold + 0.002, 3),
    }


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
