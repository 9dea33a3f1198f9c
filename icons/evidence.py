"""What speaks for an icon as the answer to a query, in figures that do not depend on the size of the library."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from icons.icon import Icon, IconStatus
from icons.lexical import terms_of

_CLAUSE = re.compile("[,;:|/(（，。；：、]")  # noqa: RUF001
"""Ends the name with which a description begins: "Right arrow icon, for navigation"."""

_OWN_WORDS = 0.75
"""Share of a candidate's words that a query must have, the rarer the heavier."""

Terms = frozenset[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All figures are 0 to 1, but for cosines, which are -1 to 1.

    Attributes:
        similarity: Cosine of the nearest description with the query.
        lead: By how much that is above the best of the other icons; below 0 for an icon that is not the nearest.
        rank: 1 for the nearest icon, 1/2 for the next, and so on; 0 for one that is not among the nearest.
        coverage: The share of the query's words that the icon has anywhere, the rarer the heavier.
        agreement: How well the query and one of its names or tags agree both ways.
    """

    similarity: float
    lead: float
    rank: float
    coverage: float
    agreement: float


def labels_of(icon: Icon) -> tuple[Terms, ...]:
    """The terms of an icon's names, which are how its descriptions begin, and of its tags."""
    names = (_CLAUSE.split(text.strip(), maxsplit=1)[0] for text in icon.texts)
    return tuple(filter(None, (frozenset(terms_of(label)) for label in (*names, *icon.tags))))


def has_own_words(query: Terms, icon: Icon, weight: Callable[[Terms], float]) -> bool:
    """Whether a query has the words with which an icon was drawn that nobody has looked at; True for any other icon.

    Its picture shows all that its caller asked for: "balloon, burst, with my advertisement" is no balloon for others.
    """
    if icon.status is not IconStatus.CANDIDATE:
        return True
    drawn_for = (frozenset(terms_of(text)) for text in icon.texts)
    return any(weight(query & one) >= _OWN_WORDS * weight(one) for one in drawn_for)


def agreement(query: Terms, labels: Iterable[Terms], weight: Callable[[Terms], float]) -> float:
    """Dice's coefficient of a query and the label that agrees best; ``weight`` says how heavy terms are together."""
    asked = weight(query)
    return max((2 * weight(query & one) / (asked + weight(one)) for one in labels), default=0.0) if asked else 0.0
