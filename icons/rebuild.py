"""Keeps the index at the library: single changes at once, a rebuild beside the current index."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from uuid import uuid4

from icons.embeddings import Embedder
from icons.icon import Icon
from icons.index.metadata import metadata_of
from icons.index.protocol import IconVector, IndexMissingError, VectorIndex, VectorIndexes
from icons.library import IconLibrary
from icons.storage import ChangedMeanwhileError
from icons.store import CurrentIndex, LibraryChanges, LibraryStore
from icons.text import language_of

_AT_ONCE = 500
"""Icons that are embedded together."""


class Indexer:
    """Changes the library and its index.

    Args:
        store: The library.
        indexes: Where its vectors are.
        embedder: Makes the vectors.
        now: The time; for tests.
    """

    def __init__(
        self,
        store: LibraryStore,
        indexes: VectorIndexes,
        embedder: Embedder,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._indexes = indexes
        self._embedder = embedder
        self._now = now
        self._opened: tuple[str, VectorIndex | None] = ("", None)

    def put(self, icons: Sequence[Icon]) -> None:
        """Add icons, or replace those with the same keys."""
        name, index = self._current()
        library = self._store.library()
        vectors = list(self._vectors(icons))
        # Vectors first: an icon of the library always has its own, while vectors without an icon are passed over.
        index.put(vectors)
        self._store.change(lambda changes: changes.with_put(icons))
        # A rebuild that ended in between has seen neither.
        while (latest := self._current())[0] != name:
            name, index = latest
            index.put(vectors)
        replaced = [library.icons[icon.key] for icon in icons if icon.key in library.icons]
        kept = {key for icon in icons for key in icon.vector_keys}
        if gone := [key for icon in replaced for key in icon.vector_keys if key not in kept]:
            index.delete(gone)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove icons; keys that are not there are passed over."""
        library = self._store.library()
        gone = [library.icons[key] for key in keys if key in library.icons]
        if not gone:
            return
        self._store.change(lambda changes: changes.with_deleted(icon.key for icon in gone))
        self._current()[1].delete([key for icon in gone for key in icon.vector_keys])

    def rebuild(self, library: IconLibrary | None = None) -> CurrentIndex:
        """Make a new index beside the current one, and switch to it.

        Args:
            library: Replaces the whole library; None to fold the changes since the last rebuild into it.

        Raises:
            ChangedMeanwhileError: Another rebuild has ended meanwhile; nothing is changed.
        """
        before = self._store.current()
        # The library first: if another rebuild folds changes into it before these are read, it is another one.
        known, imported = self._store.read_imported()
        folded = self._store.changes()
        merged = folded.apply(imported) if library is None else library
        started = self._now()
        embedder = self._embedder
        name = f"icons-{embedder.name}-{embedder.dimension}-{started:%Y%m%d%H%M%S}-{uuid4().hex[:8]}"
        index = self._indexes.create(name, embedder.dimension, self._vectors(merged.icons.values()))
        try:
            self._store.write_imported(merged, replaces=known)
        except ChangedMeanwhileError:
            self._indexes.drop(name)
            raise
        made = CurrentIndex(name, embedder.name, embedder.dimension, started.isoformat(timespec="seconds"))
        self._store.switch(made)
        remaining = self._store.change(lambda changes: changes.without(folded))
        self._follow(index, remaining)
        # Not the one before, which other processes may still query, nor a later one, which another rebuild makes.
        oldest = _made_at(before.name) if before else ""
        for other in self._indexes.names():
            if _made_at(other) < oldest:
                self._indexes.drop(other)
        return made

    def _follow(self, index: VectorIndex, changes: LibraryChanges) -> None:
        """Bring into the new index what was changed while it was made."""
        if changes.put:
            index.put(list(self._vectors(changes.put.values())))
        if gone := sorted(changes.deleted - changes.put.keys()):
            index.delete(gone)

    def _current(self) -> tuple[str, VectorIndex]:
        """The index that queries go to, with its name; opened once, since that may read all of it."""
        current = self._store.current() or self.rebuild()
        if (current.embedder, current.dimension) != (self._embedder.name, self._embedder.dimension):
            advice = "run python -m icons rebuild"
            raise IndexMissingError(
                f"index {current.name} has vectors of {current.embedder}, not of {self._embedder.name}; {advice}"
            )
        name, index = self._opened
        if index is None or name != current.name:
            index = self._indexes.open(current.name)
            self._opened = (current.name, index)
        return current.name, index

    def _vectors(self, icons: Iterable[Icon]) -> Iterator[IconVector]:
        remaining = iter(icons)
        while batch := list(islice(remaining, _AT_ONCE)):
            texts = [
                (icon, key, text) for icon in batch for key, text in zip(icon.vector_keys, icon.texts, strict=True)
            ]
            rows = self._embedder.embed([_with_tags(icon, text) for icon, _, text in texts])
            for (icon, key, text), row in zip(texts, rows, strict=True):
                yield IconVector(key, row, metadata_of(icon, text))


def _with_tags(icon: Icon, text: str) -> str:
    """A description and the tags in its language, with which more queries are near it."""
    language = language_of(text)
    return " ".join((text, *(tag for tag in icon.tags if language_of(tag) == language)))


def _made_at(index: str) -> str:
    """The time in the name of an index, to the second."""
    return index.split("-")[-2]
