"""Finds icons by words.

The nearest icons by meaning (vectors) and by words (BM25) are fused by reciprocal rank. For the first of them, what
speaks for each is weighed (``icons.evidence``). A match is accepted if the query is what it is called
(``icons.names``), or if it is the nearest by meaning, has words of the query, and its weighed evidence passes the
threshold.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from botocore.exceptions import BotoCoreError, ClientError

from icons.calibration import Calibration, shipped_calibration
from icons.embeddings import Embedder, NgramEmbedder, RememberingEmbedder
from icons.evidence import Evidence, Terms, agreements, has_own_words, labels_of
from icons.icon import Icon
from icons.index.protocol import IndexMissingError, VectorIndex, VectorIndexes
from icons.lexical import Bm25, Ints, Vocabulary, terms_of
from icons.library import IconLibrary
from icons.names import Callings, callings_of
from icons.storage import UnreadableError
from icons.store import CurrentIndex, LibraryStore
from icons.text import Language, language_of

_log = logging.getLogger(__name__)

_RANK_OFFSET = 60
"""Of reciprocal rank fusion: how little the first ranks stand out."""
_LOOKED_AT = 30
"""Icons that are ranked by meaning, and by words, at least."""
_WEIGHED = 20
"""Icons that are weighed at least."""
_FRESH_S = 5.0
"""How long what was read from the store counts as fresh."""
_MAX_AGE_S = 60.0
"""From this age on, a query waits until the store has been read again."""


@dataclass(frozen=True, slots=True)
class Match:
    """An icon that answers a query.

    Attributes:
        icon: The icon.
        similarity: Cosine of its nearest description; None if it is not among the nearest.
        lexical: BM25 of its words; 0 if it has none of the query's.
        score: How likely it is the right one, 0 to 1.
        evidence: What that was computed from.
        is_called_so: Whether the query is what it is called; then the score does not matter.
    """

    icon: Icon
    similarity: float | None
    lexical: float
    score: float
    evidence: Evidence
    is_called_so: bool


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a query found.

    Attributes:
        language: Of the query.
        matches: Best first.
        accepted: The one that may be used without a look at it; None if there is none.
        duplicate: The same if it is so near that another picture of it is of no use; else None.
        version: Of the library that was searched.
    """

    language: Language
    matches: tuple[Match, ...]
    accepted: Match | None
    duplicate: Match | None
    version: str


@dataclass(frozen=True, slots=True)
class _IconWords:
    """What is computed once from an icon's words."""

    icon: Icon
    terms: Ints
    callings: Mapping[str, int]


class _View:
    """A library with its indexes, as of one moment."""

    def __init__(
        self, library: IconLibrary, documents: Sequence[_IconWords], vocabulary: Vocabulary, index: VectorIndex | None
    ) -> None:
        self.library = library
        self.version = library.version
        self.icons = list(library.icons.values())
        self.rows = {key: row for row, icon in enumerate(self.icons) for key in icon.vector_keys}
        self.bm25 = Bm25([one.terms for one in documents], vocabulary)
        self.callings = Callings(one.callings for one in documents)
        self.index = index
        self.labels: dict[int, tuple[Terms, ...]] = {}
        self.by_category: dict[str, list[int]] = {}
        for row, icon in enumerate(self.icons):
            self.by_category.setdefault(icon.category, []).append(row)


class IconSearch:
    """Searches the library of a store; thread-safe.

    Args:
        store: The library.
        indexes: Where the vectors are.
        embedder: The one that made them.
        calibration: When a match is good enough; None for the store's or the platform's.
        clock: Seconds; for tests.
    """

    def __init__(
        self,
        store: LibraryStore,
        indexes: VectorIndexes,
        embedder: Embedder,
        *,
        calibration: Calibration | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._indexes = indexes
        self._embedder = RememberingEmbedder(embedder)
        self._given_calibration = calibration
        self._calibration = calibration or shipped_calibration()
        self._clock = clock
        self._vocabulary = Vocabulary()
        self._documents: dict[str, _IconWords] = {}
        self._current: CurrentIndex | None = None
        self._view: _View | None = None
        self._read_at = 0.0
        self._reading = threading.Lock()

    @property
    def library(self) -> IconLibrary:
        """The library that queries see."""
        return self._fresh_view().library

    def search(
        self, query: str, top_k: int = 5, category: str | None = None, threshold: float | None = None
    ) -> SearchResult:
        """Find the icons that answer a query.

        Args:
            query: In any words.
            top_k: How many at most.
            category: Of the icons; None for all.
            threshold: Leaves out matches with a lower similarity; None for none.
        """
        language = language_of(query)
        view = self._fresh_view()
        try:
            matches = self._matches(view, query, language, top_k, category)
        except IndexMissingError:
            # It was dropped after a rebuild that this process has not seen yet.
            view = self._refreshed()
            matches = self._matches(view, query, language, top_k, category)
        accepted = self._accepted(view, query, matches, language)
        duplicate = self._accepted(view, query, matches, language, stricter=0.5)
        shown = (
            one for one in matches if threshold is None or (one.similarity is not None and one.similarity >= threshold)
        )
        return SearchResult(language, tuple(shown)[:top_k], accepted, duplicate, view.version)

    def refresh(self) -> None:
        """Read again what has changed in the store."""
        self._refreshed()

    def _fresh_view(self) -> _View:
        age = self._clock() - self._read_at
        if self._view is None or age > _MAX_AGE_S:
            return self._refreshed()
        if age > _FRESH_S and self._reading.acquire(blocking=False):
            threading.Thread(target=self._read_and_release, name="icons-refresh", daemon=True).start()
        return self._view

    def _refreshed(self) -> _View:
        with self._reading:
            return self._read()

    def _read_and_release(self) -> None:
        try:
            self._read()
        except (BotoCoreError, ClientError, IndexMissingError, UnreadableError):
            _log.exception("the icon library could not be read again; queries still see what was read before")
        finally:
            self._reading.release()

    def _read(self) -> _View:
        """Make a view of what the store has now, beside the one that queries see."""
        self._read_at = self._clock()
        library, current = self._store.library(), self._store.current()
        self._calibration = self._given_calibration or self._store.calibration()
        index = self._view.index if self._view else None
        if current != self._current:
            index = self._open(current)
        elif index is not None:
            index.refresh()
        if self._view and current == self._current and library is self._view.library:
            return self._view
        documents = [self._document(icon) for icon in library.icons.values()]
        self._view, self._current = _View(library, documents, self._vocabulary, index), current
        return self._view

    def _open(self, current: CurrentIndex | None) -> VectorIndex | None:
        """The current index, if its vectors can be compared with the embedder's; else words alone are compared."""
        if current is None:
            return None
        if (current.embedder, current.dimension) != (self._embedder.name, self._embedder.dimension):
            _log.warning(
                "index %s has vectors of %s, not of %s, and is not searched; run python -m icons rebuild",
                *(current.name, current.embedder, self._embedder.name),
            )
            return None
        return self._indexes.open(current.name)

    def _document(self, icon: Icon) -> _IconWords:
        known = self._documents.get(icon.key)
        if known is None or known.icon != icon:
            words = "\n".join((*icon.texts, *icon.tags, icon.category))
            known = self._documents[icon.key] = _IconWords(icon, self._vocabulary.document(words), callings_of(icon))
        return known

    def _matches(self, view: _View, query: str, language: Language, top_k: int, category: str | None) -> list[Match]:
        count = max(top_k, _LOOKED_AT)
        similarities = self._similarities(view, query, count, category)
        terms = frozenset(terms_of(query))
        scores = view.bm25.scores(terms)
        lexical = _best(scores, count, None if category is None else view.by_category.get(category, []))
        fused: dict[int, float] = {}
        for ranking in (list(similarities), lexical):
            for rank, row in enumerate(ranking, start=1):
                fused[row] = fused.get(row, 0.0) + 1 / (_RANK_OFFSET + rank)
        judgement = self._calibration.judgement(self._embedder, language)
        so_called = view.callings.find(query, lambda row: category in {None, view.icons[row].category})
        matches = []
        rows = sorted(fused, key=lambda row: (-fused[row], row))[: max(top_k, _WEIGHED)]
        rows += [row for row in so_called if row not in rows]
        for row, coverage in zip(rows, view.bm25.coverage(terms, rows), strict=True):
            evidence = _evidence(view, row, terms, similarities, coverage, word_lead=_lead(row, lexical, scores))
            score = judgement.chance(evidence)
            icon, is_called_so = view.icons[row], row in so_called
            matches.append(Match(icon, similarities.get(row), float(scores[row]), score, evidence, is_called_so))
        return sorted(matches, key=lambda match: (match.is_called_so, match.score), reverse=True)

    def _similarities(self, view: _View, query: str, count: int, category: str | None) -> dict[int, float]:
        """Rows of the nearest icons, nearest first."""
        if view.index is None:
            return {}
        found: dict[int, float] = {}
        # Icons have a vector for each description, which are often near each other.
        for key, similarity in view.index.query(self._embedder.embed_query(query), 2 * count, category):
            if (row := view.rows.get(key)) is not None:
                found.setdefault(row, similarity)
        return found

    def _accepted(
        self, view: _View, query: str, matches: Sequence[Match], language: Language, *, stricter: float = 0
    ) -> Match | None:
        """The best match if it is good enough. ``stricter`` is how far the threshold moves to 1."""
        if not matches:
            return None
        best = matches[0]
        if best.is_called_so:
            return best
        threshold = self._calibration.judgement(self._embedder, language).threshold
        agreed = rankings_agree(best, self._embedder) and has_own_words(
            frozenset(terms_of(query)), best.icon, view.bm25.weight
        )
        return best if agreed and best.score >= threshold + stricter * (1 - threshold) else None


def rankings_agree(match: Match, embedder: Embedder) -> bool:
    """Whether a match is the nearest by meaning and has words of the query."""
    # Hashed words know nothing that the ranks by words do not.
    is_nearest = match.evidence.lead >= 0 or embedder.name == NgramEmbedder.name
    return match.similarity is not None and is_nearest and match.lexical > 0


def _best(bm25: npt.NDArray[np.float32], count: int, allowed: Sequence[int] | None) -> list[int]:
    """Rows with the highest scores, best first, without those that have none; only of the allowed rows."""
    inside = bm25 if allowed is None else bm25[allowed]
    found = np.flatnonzero(inside)
    if count < len(found):
        found = found[np.argpartition(-inside[found], count - 1)[:count]]
    ranked = found[np.argsort(-inside[found], kind="stable")]
    return [int(at) if allowed is None else allowed[at] for at in ranked]


def _lead(row: int, ranked: Sequence[int], bm25: npt.NDArray[np.float32]) -> float:
    """By how much a row's score is above the best of the others, as a share of the highest."""
    if not ranked:
        return 0.0
    others = [float(bm25[other]) for other in ranked[:2] if other != row]
    return (float(bm25[row]) - max(others, default=0.0)) / float(bm25[ranked[0]])


def _evidence(
    view: _View, row: int, query: Terms, similarities: Mapping[int, float], coverage: float, *, word_lead: float
) -> Evidence:
    nearest = list(islice(similarities.items(), 2))
    similarity = similarities.get(row, min(similarities.values(), default=0.0))
    others = [other for at, other in nearest if at != row]
    labels = view.labels.get(row)
    if labels is None:
        labels = view.labels[row] = labels_of(view.icons[row])
    agreement, said = agreements(query, labels, view.bm25.weight)
    return Evidence(
        similarity=similarity,
        lead=similarity - max(others, default=similarity),
        rank=1 / (1 + list(similarities).index(row)) if row in similarities else 0.0,
        coverage=coverage,
        agreement=agreement,
        said=said,
        word_lead=word_lead,
    )
