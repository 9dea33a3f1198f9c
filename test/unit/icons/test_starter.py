import json
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from icons.library import IconLibrary
from icons.starter import make
from icons.text import language_of, normalize

FOLDER = Path("icons/starter")
SVG = "{http://www.w3.org/2000/svg}"
PICTURES = sorted((FOLDER / "svg").rglob("*.svg"))
ALLOWED = {
    f"{SVG}svg": {
        *("width", "height", "viewBox", "fill"),
        *("stroke", "stroke-width", "stroke-linecap", "stroke-linejoin"),
    },
    f"{SVG}path": {"d", "fill", "stroke"},
}
COMMANDS = re.compile(r"(?:[MLCA](?:-?\d+(?:\.\d+)?(?: |(?=[MLCAZ]|$)))+|Z)+")
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def library():
    return IconLibrary.from_json((FOLDER / "library.json").read_bytes(), "s3://bucket/starter")


def test_the_files_are_what_make_writes():
    made = {str(path): text for path, text in make.files()}
    assert {str(path.relative_to(FOLDER)) for path in PICTURES} == made.keys() - {"library.json"}
    assert not [name for name, text in made.items() if (FOLDER / name).read_text("utf-8") != text]


def test_there_are_300_icons_and_more(library):
    assert len(library.icons) == len(PICTURES) >= 300
    assert set(make.CATEGORIES) == {icon.category for icon in library.icons.values()}


def test_each_icon_has_its_picture_and_no_picture_is_there_twice(library):
    urls = {icon.s3_url.removeprefix("s3://bucket/starter/") for icon in library.icons.values()}
    assert urls == {path.relative_to(FOLDER).as_posix() for path in PICTURES}
    assert [text for text, count in Counter(path.read_text() for path in PICTURES).items() if count > 1] == []


def test_no_two_icons_are_described_alike(library):
    texts = Counter(text for icon in library.icons.values() for text in icon.texts)
    assert [text for text, count in texts.items() if count > 1] == []


def test_each_icon_is_described_in_chinese_and_in_english(library):
    for icon in library.icons.values():
        chinese, english = icon.texts
        assert CHINESE.search(chinese), icon.key
        assert not CHINESE.search(english), icon.key
        tags = [bool(CHINESE.search(tag)) for tag in icon.tags]
        assert True in tags, icon.key
        assert False in tags, icon.key


@pytest.mark.parametrize("category", sorted(make.CATEGORIES))
def test_pictures_are_paths_alone_with_neither_scripts_nor_references(category):
    for picture in (FOLDER / "svg" / category).iterdir():
        root = ElementTree.fromstring(picture.read_text("utf-8"))  # our own files
        assert root.get("viewBox") == "0 0 24 24"
        for element in root.iter():
            assert element.attrib.keys() <= ALLOWED[element.tag], picture.name
        assert all(COMMANDS.fullmatch(path.get("d", "")) for path in root), picture.name
        assert len(root) > 0


def test_the_folder_stays_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc") < 700_000


@pytest.fixture(scope="module")
def queries():
    return json.loads((FOLDER / "queries.json").read_text("utf-8"))


def test_queries_name_icons_of_the_library(library, queries):
    assert {key for query in queries for key in query["keys"]} <= library.icons.keys()


def test_there_are_200_queries_with_an_icon_and_120_without(queries):
    hits = Counter(bool(query["keys"]) for query in queries)
    assert hits[True] >= 200
    assert hits[False] >= 120


def test_no_query_is_there_twice_or_is_a_description(library, queries):
    texts = Counter(normalize(query["query"]) for query in queries)
    assert [text for text, count in texts.items() if count > 1] == []
    assert not texts.keys() & {normalize(text) for icon in library.icons.values() for text in icon.texts}


def test_queries_say_their_language(queries):
    assert [query["query"] for query in queries if language_of(query["query"]) != query["language"]] == []


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("is_hit", [True, False])
def test_half_of_each_kind_of_query_is_held_out(queries, language, is_hit):
    kind = [query["part"] for query in queries if query["language"] == language and bool(query["keys"]) == is_hit]
    parts = Counter(kind)
    assert parts.keys() == {"calibrate", "hold-out", "judge"}
    assert parts["calibrate"] + parts["hold-out"] >= 60
    assert parts["judge"] >= 40
    assert abs(parts["calibrate"] - parts["hold-out"]) <= 1
