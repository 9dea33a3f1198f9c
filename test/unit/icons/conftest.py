import pytest

from icons.embeddings import NgramEmbedder
from icons.icon import Icon
from icons.index.files import FileIndexes
from icons.library import IconLibrary
from icons.rebuild import Indexer
from icons.search import IconSearch
from icons.storage import FolderStorage
from icons.store import LibraryStore


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def icon(key, description, *aliases, **more):
    return Icon(key=key, description=description, aliases=aliases, s3_url=f"s3://bucket/{key}.svg", **more)


ICONS = (
    icon("right", "向右箭头图标,用于导航和下一步操作", "Right arrow icon, for navigation", category="navigation"),
    icon("left", "向左箭头图标,用于返回上一步", "Left arrow icon, for going back", category="navigation"),
    icon("cart", "购物车图标,用于电商购物", "Shopping cart icon, for online stores", category="commerce"),
    icon("lock", "锁图标,用于安全和隐私", "Padlock icon, for security and privacy", category="security"),
)


class Library:
    """A library in a folder, as one process sees it."""

    def __init__(self, folder, embedder=None):
        self.folder = folder
        self.storage = FolderStorage(folder)
        self.store = LibraryStore(self.storage)
        self.indexes = FileIndexes(self.storage)
        self.embedder = embedder or NgramEmbedder()
        self.indexer = Indexer(self.store, self.indexes, self.embedder)
        self.clock = Clock()
        self.search = IconSearch(LibraryStore(self.storage), self.indexes, self.embedder, clock=self.clock)

    def found(self, query, **more):
        return [match.icon.key for match in self.search.search(query, **more).matches]


@pytest.fixture
def empty(tmp_path):
    return Library(tmp_path)


@pytest.fixture
def library(empty):
    empty.indexer.rebuild(IconLibrary(ICONS))
    return empty
