"""An index in files: exact search with numpy, enough for 100,000 icons.

``base.npz`` is written once, by ``create``. ``changes.npz`` holds what was put and deleted since, so that a change
costs little; other processes read it again when it has changed.
"""

import io
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from icons.index.protocol import Floats, IconVector, IndexMissingError
from icons.storage import ABSENT, ChangedMeanwhileError, Storage, reads

_FOLDER = "indexes/"
_BASE = "base.npz"
_CHANGES = "changes.npz"
_TRIES = 30
_HIDDEN = -2.0
"""Below every cosine."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Vectors as the rows of a matrix, sorted by category, so that a category is a slice."""

    keys: Sequence[str]
    categories: Sequence[str]
    matrix: Floats
    hides: frozenset[str]
    """Keys of another part of the index that do not count there any more."""
    slices: Mapping[str, slice]

    @classmethod
    def of(cls, vectors: Mapping[str, tuple[str, Floats]], dimension: int, hides: frozenset[str]) -> "_Rows":
        keys = sorted(vectors, key=lambda key: vectors[key][0])
        categories = [vectors[key][0] for key in keys]
        matrix = np.stack([vectors[key][1] for key in keys]) if keys else np.empty((0, dimension))
        return cls(keys, categories, matrix.astype(np.float32, copy=False), hides, _slices(categories))

    @classmethod
    def from_bytes(cls, body: bytes) -> "_Rows":
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            matrix = arrays["matrix"]
        return cls(head["keys"], head["categories"], matrix, frozenset(head["hides"]), _slices(head["categories"]))

    def to_bytes(self) -> bytes:
        head = json.dumps({"keys": self.keys, "categories": self.categories, "hides": sorted(self.hides)}).encode()
        body = io.BytesIO()
        np.savez(body, head=np.frombuffer(head, np.uint8), matrix=self.matrix)
        return body.getvalue()

    def vectors(self) -> dict[str, tuple[str, Floats]]:
        return {
            key: (category, row) for key, category, row in zip(self.keys, self.categories, self.matrix, strict=True)
        }

    def rows_of(self, category: str | None) -> slice:
        return slice(0, len(self.keys)) if category is None else self.slices.get(category, slice(0, 0))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a query looks at: replaced as a whole, so that none sees half of a change."""

    base: _Rows
    changes: _Rows
    hidden: npt.NDArray[np.intp]
    """Rows of the base that have been replaced or deleted."""

    @classmethod
    def of(cls, base: _Rows, row_of: Mapping[str, int], changes: _Rows) -> "_Parts":
        hidden = sorted(row_of[key] for key in changes.hides if key in row_of)
        return cls(base, changes, np.asarray(hidden, np.intp))


class FileIndex:
    """An index in files that exist."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._folder = f"{_FOLDER}{name}/"
        read = storage.read(self._folder + _BASE)
        if read.body is None:
            raise IndexMissingError(f"there is no index {name}; run python -m icons rebuild")
        with reads(self._folder + _BASE):
            base = _Rows.from_bytes(read.body)
        self.dimension = base.matrix.shape[1]
        self._row_of = {key: row for row, key in enumerate(base.keys)}
        self._etag = ABSENT
        self._changing = threading.RLock()
        self._parts = _Parts.of(base, self._row_of, self._no_changes())
        self.refresh()

    def put(self, vectors: Sequence[IconVector]) -> None:
        """As in the protocol."""
        added = {one.key: (str(one.metadata.get("category", "")), one.values) for one in vectors}

        def change(changes: _Rows) -> _Rows:
            return _Rows.of(changes.vectors() | added, self.dimension, changes.hides | added.keys())

        self._change(change)

    def delete(self, keys: Sequence[str]) -> None:
        """As in the protocol."""
        gone = frozenset(keys)

        def change(changes: _Rows) -> _Rows:
            kept = {key: vector for key, vector in changes.vectors().items() if key not in gone}
            return _Rows.of(kept, self.dimension, changes.hides | gone)

        self._change(change)

    def query(self, vector: Floats, top_k: int, category: str | None = None) -> list[tuple[str, float]]:
        """As in the protocol; exact."""
        parts = self._parts
        base, changes = parts.base.rows_of(category), parts.changes.rows_of(category)
        similarities = np.concatenate([parts.base.matrix[base] @ vector, parts.changes.matrix[changes] @ vector])
        inside = parts.hidden[(parts.hidden >= base.start) & (parts.hidden < base.stop)]
        similarities[inside - base.start] = _HIDDEN
        size = base.stop - base.start
        top = (
            np.argpartition(-similarities, top_k - 1)[:top_k] if top_k < len(similarities) else range(len(similarities))
        )
        best = sorted(((float(similarities[at]), int(at)) for at in top), key=lambda one: (-one[0], one[1]))
        return [
            (
                parts.base.keys[base.start + at] if at < size else parts.changes.keys[changes.start + at - size],
                similarity,
            )
            for similarity, at in best
            if similarity > _HIDDEN
        ]

    def refresh(self) -> None:
        """As in the protocol."""
        with self._changing:
            read = self._storage.read(self._folder + _CHANGES, self._etag)
            if read.etag != self._etag:
                with reads(self._folder + _CHANGES):
                    changes = _Rows.from_bytes(read.body) if read.body else self._no_changes()
                self._parts, self._etag = _Parts.of(self._parts.base, self._row_of, changes), read.etag

    def _change(self, change: Callable[[_Rows], _Rows]) -> None:
        for _ in range(_TRIES):
            with self._changing:
                self.refresh()
                changed = change(self._parts.changes)
                try:
                    etag = self._storage.write(self._folder + _CHANGES, changed.to_bytes(), replaces=self._etag)
                except ChangedMeanwhileError:
                    continue
                self._parts, self._etag = _Parts.of(self._parts.base, self._row_of, changed), etag
                return
        raise ChangedMeanwhileError(f"{self._folder} has changed {_TRIES} times while it was written; try again")

    def _no_changes(self) -> _Rows:
        return _Rows.of({}, self.dimension, frozenset())


class FileIndexes:
    """Indexes in files of a storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def create(self, name: str, dimension: int, vectors: Iterable[IconVector]) -> FileIndex:
        """As in the protocol."""
        found = {one.key: (str(one.metadata.get("category", "")), one.values) for one in vectors}
        self._storage.delete(f"{_FOLDER}{name}/{_CHANGES}")
        self._storage.write(f"{_FOLDER}{name}/{_BASE}", _Rows.of(found, dimension, frozenset()).to_bytes())
        return self.open(name)

    def open(self, name: str) -> FileIndex:
        """As in the protocol."""
        return FileIndex(self._storage, name)

    def drop(self, name: str) -> None:
        """As in the protocol."""
        for one in self._storage.names(f"{_FOLDER}{name}/"):
            self._storage.delete(one)

    def names(self) -> list[str]:
        """As in the protocol."""
        return sorted({name.split("/")[1] for name in self._storage.names(_FOLDER)})


def _slices(categories: Sequence[str]) -> dict[str, slice]:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for row, category in enumerate(categories):
        first.setdefault(category, row)
        last[category] = row
    return {category: slice(row, last[category] + 1) for category, row in first.items()}
