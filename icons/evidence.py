"""What speaks for an icon as the answer to a query, in figures that do not depend on the size of the library."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from icons.icon import Icon, IconStatus
from icons.lexical import terms_of
from icons.names import names_of

_OWN_WORDS = 0.75
"""Share of a candidate's words that a query must have, the rarer the heavier."""

Terms = frozenset[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All figures are 0 to 1, but for cosines and leads, which are -1 to 1.

    Attributes:
        similarity: Cosine of the nearest description with the query.
        lead: By how much that is above the best of the other icons; below 0 for an icon that is not the nearest.
        rank: 1 for the nearest icon, 1/2 for the next, and so on; 0 for one that is not among the nearest.
        coverage: The share of the query's words that the icon has anywhere, the rarer the heavier.
        agreement: How well the query and one of its names or tags agree both ways.
        said: The share that the query has of the words of one of its names or tags.
        word_lead: By how much its BM25 is above the best of the other icons, as a share of the highest.
    """

    similarity: float
    lead: float
    rank: float
    coverage: float
    agreement: float
    said: float
    word_lead: float


def labels_of(icon: Icon) -> tuple[Terms, ...]:
    """The terms of an icon's names, which are how its descriptions begin, and of its tags."""
    return tuple(filter(None, (frozenset(terms_of(label)) for label in (*names_of(icon), *icon.tags))))


def has_own_words(query: Terms, icon: Icon, weight: Callable[[Terms], float]) -> bool:
    """Whether a query has the words with which an icon was drawn that nobody has looked at; True for any other icon.

    Its picture shows all that its caller asked for: "balloon, burst, with my advertisement" is no balloon for others.
    """
    if icon.status is not IconStatus.CANDIDATE:
        return True
    drawn_for = (frozenset(terms_of(text)) for text in icon.texts)
    return any(weight(query & one) >= _OWN_WORDS * weight(one) for one in drawn_for)


def agreements(query: Terms, labels: Iterable[Terms], weight: Callable[[Terms], float]) -> tuple[float, float]:
    """Agreement and share said of the labels for which each is best.

    Agreement is Dice's coefficient; ``weight`` says how heavy terms are together.
    """
    asked = weight(query)
    best_agreement = best_said = 0.0
    for label in labels:
        if both := weight(query & label):
            whole = weight(label)
            best_agreement = max(best_agreement, 2 * both / (asked + whole))
            best_said = max(best_said, both / whole)
    return best_agreement, best_said
