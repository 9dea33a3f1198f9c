"""BM25: how well the words of a query and those of an icon's descriptions agree.

Chinese has no spaces: its terms are single characters and pairs of them. The terms of other scripts are words.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from operator import add

import numpy as np
import numpy.typing as npt

from icons.text import HAN, normalize

Ints = npt.NDArray[np.int32]

_K1 = 1.2
_B = 0.5
_RUNS = re.compile(f"[{HAN}]+|[^\\s{HAN}]+")
_IS_HAN = re.compile(f"[{HAN}]")
_ENGLISH_STOP_WORDS = """
a an the of for to in on at and or with is are be it its this that i me my we our you your please want need give get
show some any which as by from icon icons symbol symbols sign logo pictogram glyph picture image graphic
"""
_STOP_WORDS = frozenset(_ENGLISH_STOP_WORDS.split())
"""Say nothing of what an icon shows."""
_CHINESE_STOP_WORDS = """
图标 图案 标志 符号 图形 图片 按钮 一个 一张 一枚
请给我 给我 我要 我想要 我需要 需要 想要 帮我 用于 用来
表示 代表 的 个 了 和 与 或 类
"""
_HAN_STOP = re.compile("|".join(_CHINESE_STOP_WORDS.split()))
_MIN_STEM = 4


def terms_of(text: str) -> list[str]:
    """The terms of a text, with repetitions."""
    terms: list[str] = []
    for run in _RUNS.findall(normalize(text)):
        if _IS_HAN.match(run):
            for part in _HAN_STOP.split(run):
                terms += part
                terms += map(add, part, part[1:])
        elif run not in _STOP_WORDS:
            terms.append(_stem(run))
    return terms


def _stem(word: str) -> str:
    """A plural as its singular, roughly; both sides are treated alike."""
    for ending in ("ies", "es", "s"):
        if len(word) >= _MIN_STEM + len(ending) - 1 and word.endswith(ending) and not word.endswith("ss"):
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


class Vocabulary:
    """Numbers of terms; it only grows."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def document(self, text: str) -> Ints:
        """The terms of a document as numbers; new ones are added."""
        ids = self._ids
        return np.asarray([ids.setdefault(term, len(ids)) for term in terms_of(text)], np.int32)

    def number(self, term: str) -> int | None:
        """The number of a term; None for one of no document."""
        return self._ids.get(term)


class Bm25:
    """An index of documents.

    Args:
        documents: The terms of each, by one vocabulary.
        vocabulary: That one.
    """

    def __init__(self, documents: Sequence[Ints], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._size = len(documents)
        terms = np.concatenate(documents) if documents else np.empty(0, np.int32)
        lengths = np.asarray([len(one) for one in documents], np.int64)
        pairs = terms.astype(np.int64) * max(self._size, 1) + np.repeat(np.arange(self._size), lengths)
        found, counts = np.unique(pairs, return_counts=True)
        self._documents = (found % max(self._size, 1)).astype(np.int32)
        frequencies = np.bincount(found // max(self._size, 1), minlength=len(vocabulary))
        self._starts = np.concatenate([[0], np.cumsum(frequencies)])
        self._idf = np.log1p((self._size - frequencies + 0.5) / (frequencies + 0.5)).astype(np.float32)
        self._absent_idf = float(np.log1p((self._size + 0.5) / 0.5))
        mean = max(float(lengths.mean()) if self._size else 1.0, 1.0)
        norms = _K1 * (1 - _B + _B * lengths[self._documents] / mean)
        self._weights = (counts * (_K1 + 1) / (counts + norms)).astype(np.float32)

    def scores(self, query: Iterable[str]) -> npt.NDArray[np.float32]:
        """BM25 of all documents for the different terms of a query; 0 where no term agrees."""
        scores = np.zeros(self._size, np.float32)
        for number, documents in self._postings(query):
            postings = slice(self._starts[number], self._starts[number + 1])
            scores[documents] += self._idf[number] * self._weights[postings]
        return scores

    def coverage(self, query: Iterable[str], documents: Sequence[int]) -> list[float]:
        """The share of a query's terms, weighted by how rare they are, that each of some documents has; 0 to 1."""
        wanted = np.asarray(documents, np.int32)
        covered = np.zeros(len(wanted))
        for number, having in self._postings(query):
            at = np.minimum(np.searchsorted(having, wanted), len(having) - 1)
            covered += np.where(having[at] == wanted, self._idf[number], 0)
        total = self.weight(query)
        return (covered / total).tolist() if total else covered.tolist()

    def _postings(self, query: Iterable[str]) -> Iterator[tuple[int, Ints]]:
        """The number of each term that documents have, and those documents, in their order."""
        for term in query:
            number = self._vocabulary.number(term)
            if number is not None and number < len(self._idf):
                having = self._documents[self._starts[number] : self._starts[number + 1]]
                if len(having):
                    yield number, having

    def weight(self, terms: Iterable[str]) -> float:
        """How rare terms are, added up; those of no document are the rarest."""
        total = 0.0
        for term in terms:
            number = self._vocabulary.number(term)
            is_known = number is not None and number < len(self._idf)
            total += float(self._idf[number]) if is_known else self._absent_idf
        return total
