import numpy as np
import pytest

from icons.lexical import Bm25, Vocabulary, terms_of

TEXTS = [
    "向右箭头图标,用于导航和下一步操作\nRight arrow icon, for navigation",
    "向左箭头图标,用于返回\nLeft arrow icon, for going back",
    "购物车图标,用于电商\nShopping cart icon, for stores",
    "锁图标,用于安全\nLock icon, for security",
]


@pytest.fixture(scope="module")
def bm25():
    vocabulary = Vocabulary()
    return Bm25([vocabulary.document(text) for text in TEXTS], vocabulary)


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("右箭头", 0),
        ("arrow to the left", 1),
        ("购物", 2),
        ("carts", 2),
        ("锁", 3),
        ("安全锁图标", 3),
        ("返回 back", 1),
    ],
)
def test_the_best_document_has_the_querys_words(bm25, query, best):
    assert int(np.argmax(bm25.scores(set(terms_of(query))))) == best


def coverage(bm25, query):
    return bm25.coverage(set(terms_of(query)), range(len(TEXTS)))


def test_coverage_is_the_share_of_the_words_that_a_document_has(bm25):
    assert coverage(bm25, "购物车图标")[2] == pytest.approx(1)
    assert coverage(bm25, "shopping cart") == pytest.approx([0, 0, 1, 0])
    right, left = coverage(bm25, "right arrow")[:2]
    assert right == pytest.approx(1)
    assert 0 < left < 0.5, "a common word counts less than a rare one"
    assert coverage(bm25, "shopping giraffe")[2] < 0.5, "a word of no document counts most"


@pytest.mark.parametrize("query", ["giraffe", "长颈鹿", "", "!?", "the icon"])
def test_a_query_without_known_words_finds_nothing(bm25, query):
    assert not bm25.scores(set(terms_of(query))).any()
    assert coverage(bm25, query) == [0, 0, 0, 0]


def test_words_of_asking_say_nothing():
    assert terms_of("请给我一个购物车的图标") == terms_of("购物车")
    assert terms_of("I want an icon of a cart, please") == terms_of("cart")


def test_an_index_without_documents_finds_nothing():
    empty = Bm25([], Vocabulary())
    assert (empty.scores({"cart"}).tolist(), empty.coverage({"cart"}, [])) == ([], [])


def test_words_that_came_after_an_index_was_made_are_unknown_to_it():
    vocabulary = Vocabulary()
    first = Bm25([vocabulary.document("cart")], vocabulary)
    vocabulary.document("giraffe")
    assert first.coverage({"giraffe"}, [0]) == [0]
    assert first.coverage({"cart"}, [0]) == pytest.approx([1])


def test_a_word_whose_documents_are_gone_is_in_none():
    vocabulary = Vocabulary()
    vocabulary.document("giraffe")
    later = Bm25([vocabulary.document("cart")], vocabulary)
    assert (later.scores({"giraffe"}).tolist(), later.coverage({"giraffe"}, [0])) == ([0], [0])
