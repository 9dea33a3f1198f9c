"""The library where all processes read it: an operator's JSON, what has changed since, and which index is current.

``library.json`` is what was imported or rebuilt last. ``changes.json`` is small: icons that were put since, keys that
were deleted. A rebuild folds it into ``library.json``. ``current.json`` names the index.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

from contract.objects import ICONS_PREFIX
from icons.calibration import Calibration, shipped_calibration
from icons.icon import Icon
from icons.library import IconLibrary, written
from icons.storage import ABSENT, ChangedMeanwhileError, Storage, reads

PREFIX = ICONS_PREFIX
"""Where the library is in the output bucket."""
LIBRARY = "library.json"
CALIBRATION = "calibration.json"
"""An operator's own; most have none."""
_CHANGES = "changes.json"
_CURRENT = "current.json"
_TRIES = 30


@dataclass(frozen=True, slots=True)
class CurrentIndex:
    """The index that queries go to.

    Attributes:
        name: Of the index.
        embedder: Made its vectors.
        dimension: Of its vectors.
        built_at: ISO 8601.
    """

    name: str
    embedder: str
    dimension: int
    built_at: str


@dataclass(frozen=True, slots=True)
class LibraryChanges:
    """What has changed since ``library.json`` was written."""

    put: Mapping[str, Icon]
    deleted: frozenset[str]

    @classmethod
    def from_json(cls, text: bytes) -> "LibraryChanges":
        """Read what ``to_json`` wrote."""
        data = json.loads(text)
        return cls({one["key"]: Icon.model_validate(one) for one in data["put"]}, frozenset(data["deleted"]))

    def to_json(self) -> bytes:
        """Write."""
        data = {"put": [written(icon) for icon in self.put.values()], "deleted": sorted(self.deleted)}
        return json.dumps(data, ensure_ascii=False).encode()

    def with_put(self, icons: Iterable[Icon]) -> "LibraryChanges":
        """These and icons that are put."""
        added = {icon.key: icon for icon in icons}
        return LibraryChanges({**self.put, **added}, self.deleted - added.keys())

    def with_deleted(self, keys: Iterable[str]) -> "LibraryChanges":
        """These and icons that are deleted."""
        gone = frozenset(keys)
        return LibraryChanges({key: icon for key, icon in self.put.items() if key not in gone}, self.deleted | gone)

    def without(self, folded: "LibraryChanges") -> "LibraryChanges":
        """What has been added to changes that were folded into the library."""
        put = {key: icon for key, icon in self.put.items() if folded.put.get(key) != icon}
        return LibraryChanges(put, self.deleted - folded.deleted)

    def apply(self, library: IconLibrary) -> IconLibrary:
        """The library with these changes."""
        return library.changed(self.put.values(), self.deleted | self.put.keys()) if self else library

    def __bool__(self) -> bool:
        return bool(self.put or self.deleted)


NO_CHANGES = LibraryChanges({}, frozenset())


class LibraryStore:
    """Reads and changes the library.

    What has been read is kept, and read again only if it has changed.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._library: tuple[str, IconLibrary] = (ABSENT, IconLibrary())
        self._changes: tuple[str, LibraryChanges] = (ABSENT, NO_CHANGES)
        self._merged = (self._library[1], NO_CHANGES, self._library[1])

    def imported(self) -> IconLibrary:
        """``library.json``; empty if there is none."""
        return self.read_imported()[1]

    def read_imported(self) -> tuple[str, IconLibrary]:
        """``library.json`` with its ETag, as one value, since threads share this store."""
        known = self._library
        read = self.storage.read(LIBRARY, known[0])
        if read.etag != known[0]:
            with reads(LIBRARY):
                known = (read.etag, IconLibrary.from_json(read.body) if read.body else IconLibrary())
            self._library = known
        return known

    def changes(self) -> LibraryChanges:
        """``changes.json``; empty if there is none."""
        return self._read_changes()[1]

    def library(self) -> IconLibrary:
        """The imported library with its changes; the same object as long as nothing has changed."""
        imported, changes = self.imported(), self.changes()
        if self._merged[0] is not imported or self._merged[1] is not changes:
            self._merged = (imported, changes, changes.apply(imported))
        return self._merged[2]

    def current(self) -> CurrentIndex | None:
        """The index that queries go to; None before the first rebuild."""
        read = self.storage.read(_CURRENT)
        with reads(_CURRENT):
            return CurrentIndex(**json.loads(read.body)) if read.body else None

    def calibration(self) -> Calibration:
        """``calibration.json``, with the platform's tables for embedders that it does not have."""
        read = self.storage.read(CALIBRATION)
        with reads(CALIBRATION):
            return Calibration.from_json(read.body).over(shipped_calibration()) if read.body else shipped_calibration()

    def write_calibration(self, calibration: Calibration) -> None:
        """Replace ``calibration.json``."""
        self.storage.write(CALIBRATION, calibration.to_json().encode())

    def write_imported(self, library: IconLibrary, *, replaces: str) -> None:
        """Replace the ``library.json`` that has an ETag.

        Raises:
            ChangedMeanwhileError: Another process has replaced it.
        """
        etag = self.storage.write(LIBRARY, library.to_json().encode(), replaces=replaces)
        self._library = (etag, library)

    def switch(self, index: CurrentIndex) -> None:
        """Send queries to another index."""
        self.storage.write(_CURRENT, json.dumps(asdict(index)).encode())

    def change(self, change: Callable[[LibraryChanges], LibraryChanges]) -> LibraryChanges:
        """Change ``changes.json``; another process's change in between is kept.

        Raises:
            ChangedMeanwhileError: Other processes were faster, again and again.
        """
        for _ in range(_TRIES):
            known, changes = self._read_changes()
            changed = change(changes)
            try:
                etag = self.storage.write(_CHANGES, changed.to_json(), replaces=known)
            except ChangedMeanwhileError:
                continue
            self._changes = (etag, changed)
            return changed
        raise ChangedMeanwhileError(f"{_CHANGES} has changed {_TRIES} times while it was written; try again")

    def _read_changes(self) -> tuple[str, LibraryChanges]:
        """With their ETag, as one value, since threads share this store."""
        known = self._changes
        read = self.storage.read(_CHANGES, known[0])
        if read.etag != known[0]:
            with reads(_CHANGES):
                known = (read.etag, LibraryChanges.from_json(read.body) if read.body else NO_CHANGES)
            self._changes = known
        return known
