import json

import pytest

from icons.icon import Icon
from icons.library import IconLibrary, LibraryError

SEED = [
    {
        "key": "arrow-right-001",
        "description": "向右箭头图标,用于导航和下一步操作,导航类图标",
        "s3_url": "https://icon-storage-bucket.s3.amazonaws.com/arrows/arrow-right.svg",
        "category": "navigation",
        "tags": ["箭头", "导航", "右", "下一步"],
    },
    {"key": "cart", "description": "购物车图标", "s3_url": "s3://bucket/cart.svg"},
]
PLAIN = {"key": "a", "description": "an arrow", "s3_url": "s3://bucket/a.svg"}


def errors_of(*icons):
    with pytest.raises(LibraryError) as caught:
        IconLibrary.from_json(json.dumps(icons))
    return [(error.pointer, error.detail) for error in caught.value.errors]


def test_the_seeds_form_is_read_and_written_back_the_same():
    library = IconLibrary.from_json(json.dumps(SEED))
    assert json.loads(library.to_json()) == SEED
    assert IconLibrary.from_json(library.to_json()).version == library.version


def test_every_field_is_written_back_the_same():
    whole = SEED[0] | {"aliases": ["Right arrow"], "style": "line", "status": "candidate", "source": "drawn"}
    assert json.loads(IconLibrary.from_list([whole]).to_json()) == [whole]


def test_what_is_empty_or_null_is_absent():
    bare = PLAIN | {"category": None, "tags": None, "aliases": [], "style": ""}
    assert json.loads(IconLibrary.from_list([bare]).to_json()) == [PLAIN]


def test_another_content_has_another_version():
    library = IconLibrary.from_list(SEED)
    assert library.changed(delete=["cart"]).version != library.version
    assert list(library.changed(put=[Icon(**PLAIN)], delete=["cart"]).icons) == ["arrow-right-001", "a"]


def test_an_s3_url_without_a_scheme_is_a_path_beside_the_library():
    library = IconLibrary.from_list([PLAIN | {"s3_url": "svg/a.svg"}, SEED[1]], "s3://bucket/icons/")
    assert [icon.s3_url for icon in library.icons.values()] == ["s3://bucket/icons/svg/a.svg", "s3://bucket/cart.svg"]


def test_all_errors_are_named():
    found = errors_of(
        {"key": "x", "descripton": "an arrow", "s3_url": "arrow.svg", "tags": ["ok", 1, ""], "status": "done"},
        7,
        PLAIN,
        PLAIN | {"description": "另一个"},
    )
    assert [pointer for pointer, _ in found] == [
        "[0].description",
        "[0].s3_url",
        "[0].tags[1]",
        "[0].tags[2]",
        "[0].status",
        "[0].descripton",
        "[1]",
        "[3].key",
    ]
    details = dict(found)
    assert details["[0].descripton"] == "is not a known key; did you mean description?"
    assert details["[0].s3_url"] == 'must be an s3:// or https URL, not "arrow.svg"'
    assert details["[1]"] == "must be an object, not 7"
    assert details["[3].key"] == 'is used twice: "a" is also the key of [2]'


@pytest.mark.parametrize(
    ("changed", "pointer", "detail"),
    [
        ({"key": "箭" * 342}, "key", "may have at most 1024 bytes in UTF-8, with #N for an alias; has 1026"),
        ({"key": "k" * 1023, "aliases": ["x"]}, "key", "with #N for an alias; has 1025"),
        ({"key": "k" * 1025}, "key", "may have at most 1024 characters"),
        ({"tags": ["字" * 100] * 10}, "tags", "category, tags and style may have at most 2048 bytes in all"),
        ({"description": "!?"}, "description", "must contain words"),
        ({"description": ""}, "description", "must not be empty"),
        ({"aliases": ["ok", "。"]}, "aliases", "must contain words"),
        ({"s3_url": "ftp://bucket/a"}, "s3_url", "must be an s3:// or https URL"),
    ],
)
def test_what_s3_vectors_would_refuse_is_an_error(changed, pointer, detail):
    ((at, said),) = errors_of(PLAIN | changed)
    assert at == f"[0].{pointer}"
    assert detail in said


def test_the_longest_allowed_key_is_read():
    key = "箭" * 341
    assert IconLibrary.from_list([PLAIN | {"key": key}]).icons[key].vector_keys == (key,)


def test_no_icon_has_the_key_of_anothers_alias():
    assert errors_of(PLAIN | {"aliases": ["pfeil", "freccia"]}, PLAIN | {"key": "a#2"}) == [
        ("[1].key", 'must not be "a" with # and a number, which names an alias of [0]')
    ]
    assert IconLibrary.from_list([PLAIN, PLAIN | {"key": "a#2"}])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"key": "a"}', "must be a list of icons, not an object"),
        ("[", "is not JSON"),
        ('[{"key": "\\ud800"}]', "surrogate"),
    ],
)
def test_what_is_no_list_of_icons_is_refused(text, said):
    with pytest.raises(LibraryError, match=said):
        IconLibrary.from_json(text)
