"""Finds icons by words: the ranks by meaning (vectors) and by words (BM25) are fused, and must agree on a hit."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError

from icons.calibration import Calibration, shipped_calibration
from icons.embeddings import Embedder, RememberingEmbedder
from icons.icon import Icon
from icons.index.protocol import IndexMissingError, VectorIndex, VectorIndexes
from icons.lexical import Bm25, Ints, Vocabulary
from icons.library import IconLibrary
from icons.store import CurrentIndex, LibraryStore
from icons.text import Language, language_of

_log = logging.getLogger(__name__)

_RANK_OFFSET = 60
"""Of reciprocal rank fusion: how little the first ranks stand out."""
_LOOKED_AT = 30
"""Vectors and documents that are ranked at least."""
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
        lexical: BM25 of its words.
        coverage: The share of the query's words that it has, the rarer the heavier; 0 to 1.
        score: Both ranks fused; only an order.
    """

    icon: Icon
    similarity: float | None
    lexical: float
    coverage: float
    score: float


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


class _View:
    """A library with its indexes, as of one moment."""

    def __init__(
        self, library: IconLibrary, documents: Sequence[Ints], vocabulary: Vocabulary, index: VectorIndex | None
    ) -> None:
        self.library = library
        self.version = library.version
        self.icons = list(library.icons.values())
        self.rows = {key: row for row, icon in enumerate(self.icons) for key in icon.vector_keys}
        self.bm25 = Bm25(documents, vocabulary)
        self.index = index
        self.by_category: dict[str, list[int]] = {}
        for row, icon in enumerate(self.icons):
            self.by_category.setdefault(icon.category, []).append(row)


class IconSearch:
    """Searches the library of a store; thread-safe.

    Args:
        store: The library.
        indexes: Where the vectors are.
        embedder: The one that made them.
        calibration: When a match is good enough.
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
        self._calibration = calibration or shipped_calibration()
        self._clock = clock
        self._vocabulary = Vocabulary()
        self._documents: dict[str, tuple[Icon, Ints]] = {}
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
        view = self._fresh_view()
        try:
            matches = self._matches(view, query, max(top_k, _LOOKED_AT), category)
        except IndexMissingError:
            # It was dropped after a rebuild that this process has not seen yet.
            view = self._refreshed()
            matches = self._matches(view, query, max(top_k, _LOOKED_AT), category)
        language = language_of(query)
        accepted = self._accepted(matches, language)
        duplicate = self._accepted(matches, language, stricter=0.5)
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
        except (BotoCoreError, ClientError):
            _log.exception("the icon library could not be read again; queries still see what was read before")
        finally:
            self._reading.release()

    def _read(self) -> _View:
        """Make a view of what the store has now, beside the one that queries see."""
        self._read_at = self._clock()
        library, current = self._store.library(), self._store.current()
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

    def _document(self, icon: Icon) -> Ints:
        known = self._documents.get(icon.key)
        if known is None or known[0] != icon:
            words = (*icon.texts, *icon.tags, icon.category)
            known = self._documents[icon.key] = (icon, self._vocabulary.document("\n".join(words)))
        return known[1]

    def _matches(self, view: _View, query: str, count: int, category: str | None) -> list[Match]:
        similarities = self._similarities(view, query, count, category)
        scores = view.bm25.scores(query)
        allowed = None if category is None else view.by_category.get(category, [])
        bm25 = scores.bm25 if allowed is None else scores.bm25[allowed]
        top = np.argpartition(-bm25, count - 1)[:count] if count < len(bm25) else np.arange(len(bm25))
        ranked = top[np.argsort(-bm25[top], kind="stable")]
        lexical = [int(at) if allowed is None else allowed[at] for at in ranked if bm25[at] > 0]
        score: dict[int, float] = {}
        for ranking in (list(similarities), lexical):
            for rank, row in enumerate(ranking, start=1):
                score[row] = score.get(row, 0.0) + 1 / (_RANK_OFFSET + rank)
        return [
            Match(
                view.icons[row],
                similarities.get(row),
                float(scores.bm25[row]),
                float(scores.coverage[row]),
                score[row],
            )
            for row in sorted(score, key=lambda row: (-score[row], row))
        ]

    def _similarities(self, view: _View, query: str, count: int, category: str | None) -> dict[int, float]:
        """Rows of the nearest icons, nearest first."""
        if view.index is None:
            return {}
        found: dict[int, float] = {}
        for key, similarity in view.index.query(self._embedder.embed_query(query), 2 * count, category):
            if (row := view.rows.get(key)) is not None:
                found.setdefault(row, similarity)
        return found

    def _accepted(self, matches: Sequence[Match], language: Language, *, stricter: float = 0) -> Match | None:
        """The best match if it is good enough. ``stricter`` is how far the thresholds move to 1."""
        if not matches:
            return None
        best = matches[0]
        needs = self._calibration.thresholds(self._embedder, language)
        similarity, coverage = (one + stricter * (1 - one) for one in (needs.similarity, needs.coverage))
        similar = best.similarity is not None and best.similarity >= similarity
        return best if similar and best.coverage >= coverage else None
