import base64
import io
import tracemalloc

import pytest
from PIL import Image

from queue_agent.errors import InputError
from queue_agent.inputs.inline import read_inline
from queue_agent.ports import Input


def base64_picture(side_px):
    stream = io.BytesIO()
    Image.new("1", (side_px, side_px)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


SMALL, HUGE = base64_picture(8), base64_picture(9000)  # both are short texts
BYTES = base64.b64decode(SMALL)

HEADS = [
    "",
    "data:image/png;base64,",
    "DATA:IMAGE/PNG;BASE64,",
    " \n\tdata:image/png;base64,",
    "data:image/png;x,",
    "data:image/png,",
    "data:,",
    "data:;base64,",
    "data:image/png;charset=utf-8;base64,",
    "data:image/png;" + "y" * 120 + ";base64,",
    "data:image/png;name=a,b.png;base64,",
    "data:image/jpeg ; base64 ,",
]


def taken(text, **more):
    return read_inline(Input(text, "mask", **more))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("is_strict", [True, False])
def test_a_picture_is_read_however_it_is_written_and_a_small_text_that_is_a_huge_one_is_refused(head, is_strict):
    assert taken(head + SMALL, is_strict=is_strict).data == BYTES
    with pytest.raises(InputError, match="the limit is"):
        taken(head + HUGE, is_strict=is_strict)


@pytest.mark.parametrize("text", [f"{SMALL[:40]}\n{SMALL[40:]}", f"!{SMALL}", f"{SMALL}=={HUGE}", f"{SMALL}/!a"])
def test_line_ends_and_what_else_servers_skip_in_base64_means_nothing(text):
    assert taken(text).data == taken("data:image/png;base64," + text).data == base64.b64decode(text)
    assert base64.b64decode(text).startswith(BYTES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data:text/plain;base64,aGVsbG8=", "the data URL holds no image"),
        ("data:image/png;base64,!", "the data URL holds no image"),
        ("data:", "the data URL holds no image"),
        ("x" * 40, "is neither a link nor an image in base64"),
        ("/srv/pictures/a.png", "is neither a link nor an image in base64"),
        (base64.b64encode(b"P6 60000 60000 255\n" + bytes(20)).decode(), "is neither a link nor an image in base64"),
        ("ftp://a/b.png", "the link has the scheme ftp; only http, https and s3 links are fetched"),
        ("file:///etc/passwd", "the link has the scheme file; only"),
        ("http:\\\\a\\b", "the link must begin with http://, with two slashes"),
        ("S3:/bucket/key", "the link must begin with s3://, with two slashes"),
    ],
)
def test_what_is_no_picture_where_pictures_alone_belong_is_refused_in_words(text, words):
    with pytest.raises(InputError, match=words):
        taken(text)


@pytest.mark.parametrize(
    ("text", "is_strict"),
    [
        *((word, True) for word in ("no base64!", "none", "hello", "aGVsbG8=")),
        *(
            (text, False)
            for text in ("x" * 400, "a/path.png", "note://x", "data:application/json,{}", "two words " * 9)
        ),
    ],
)
def test_a_word_and_where_other_texts_may_stand_a_text_is_left_to_the_server(text, is_strict):
    assert taken(text, is_strict=is_strict) is None


@pytest.mark.parametrize("shift", range(4))
def test_an_escape_is_read_wherever_a_long_text_is_divided(shift, monkeypatch):
    monkeypatch.setattr("queue_agent.inputs.inline._PIECE_CHARS", 16)
    escaped = "".join(f"%{byte:02x}" for byte in BYTES)
    assert taken("data:image/png," + escaped).data == BYTES
    spaced = "!" * shift + "".join(f"%{ord(letter):02X}" for letter in SMALL)
    assert taken("data:image/png;base64," + spaced).data == BYTES
    assert taken("data:;base64," + "%" * (16 + shift) + SMALL).data == BYTES


def test_a_text_of_escapes_takes_a_few_times_its_own_memory():
    text = "data:image/png;base64," + "%41" * 500_000
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="holds no image"):
            taken(text)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(text)
    finally:
        tracemalloc.stop()
