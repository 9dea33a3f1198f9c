"""A library that is filled bit by bit, by any process that has time."""

import json

import pytest

from icons.embeddings import NgramEmbedder
from icons.folder import IconFolder
from icons.index.files import FileIndexes
from icons.rebuild import Indexer
from icons.starting import StartingLibrary
from icons.storage import ChangedMeanwhileError, FolderStorage
from icons.store import LibraryStore

ICONS, NEVER, ALWAYS = 150, float("-inf"), float("inf")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "given"
    place.mkdir()
    for number in range(ICONS):
        (place / f"{number}.svg").write_text(f"<svg>{number}</svg>", encoding="utf-8")
    entries = [{"key": f"k{n}", "description": f"icon number {n}", "s3_url": f"{n}.svg"} for n in range(ICONS)]
    (place / "library.json").write_text(json.dumps(entries), encoding="utf-8")
    return IconFolder.read(place, "bucket")


class Library:
    """A process that fills the library in a folder."""

    def __init__(self, folder, place):
        self.storage = FolderStorage(place)
        self.store = LibraryStore(self.storage)
        self.indexer = Indexer(self.store, FileIndexes(self.storage), NgramEmbedder())
        self.starting = StartingLibrary(folder, self.indexer, self.storage)

    def die_after(self, slices, monkeypatch):
        put, left = self.indexer.put, iter(range(slices))

        def put_or_die(icons):
            if next(left, None) is None:
                raise KeyboardInterrupt
            put(icons)

        monkeypatch.setattr(self.indexer, "put", put_or_die)


def test_what_a_process_had_no_time_for_another_one_puts_with_all_pictures(folder, tmp_path, monkeypatch):
    first, second = (Library(folder, tmp_path / "library") for _ in range(2))
    first.starting.begin()
    assert not first.starting.go_on(NEVER)
    first.die_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        first.starting.go_on(ALWAYS)
    there = len(second.store.library().icons)
    assert 0 < there < ICONS
    asked = []
    monkeypatch.setattr(second.indexer, "put", lambda icons, put=second.indexer.put: (asked.extend(icons), put(icons)))
    assert second.starting.go_on(ALWAYS)
    assert len(asked) == ICONS - there
    assert second.store.library().icons == folder.library.icons
    pictures = {name: second.storage.read(name).body for name in folder.files}
    assert pictures == {name: path.read_bytes() for name, path in folder.files.items()}


def test_two_processes_at_once_leave_each_icon_once_and_only_one_begins(folder, tmp_path, monkeypatch):
    first, second = (Library(folder, tmp_path / "library") for _ in range(2))
    first.starting.begin()
    with pytest.raises(ChangedMeanwhileError):
        second.starting.begin()
    put, others = first.indexer.put, iter([second])

    def put_late(icons):
        put(icons)
        for other in others:
            assert other.starting.go_on(ALWAYS)

    monkeypatch.setattr(first.indexer, "put", put_late)
    assert first.starting.go_on(ALWAYS)
    assert first.store.library().icons == folder.library.icons


def test_a_library_that_has_begun_otherwise_gets_none_and_one_that_was_emptied_stays_empty(folder, tmp_path):
    library = Library(folder, tmp_path / "library")
    library.indexer.rebuild(folder.library)
    library.indexer.delete(list(folder.library.icons))
    assert library.starting.go_on(ALWAYS)
    assert not library.store.library().icons
