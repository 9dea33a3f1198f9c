"""Images that no model server should open as they are."""

import io
import struct
import zlib
from functools import partial

import pytest
from PIL import Image

from queue_agent.errors import InputError
from queue_agent.inputs.images import MAX_PIXELS, check_pixels, readable
from queue_agent.media import identify

MIB = 1024 * 1024


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(*before, after=()):
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), "teal").save(stream, "PNG")
    data = stream.getvalue()
    return data[:33] + b"".join(before) + data[33:-12] + b"".join(after) + data[-12:]


def gif(width, height, frames):
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + frames * frame + b";"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gif(8000, 8001, 1), f"is an image of 8000 \u00d7 8001 pixels; the limit is {MAX_PIXELS}"),
        (gif(8000, 4000, 3), f"is an image of 8000 \u00d7 4000 pixels in 3 frames; the limit is {MAX_PIXELS}"),
        (picture()[:20], "is a broken png image: its size cannot be read (the file ends before its headers do)"),
        (
            b"8BPS\0\x01" + bytes(300),
            "is an image of type image/vnd.adobe.photoshop, which is not supported; "
            "send png, jpg, webp, gif, tif, bmp or avif",
        ),
    ],
)
def test_an_image_that_is_too_large_or_whose_size_cannot_be_read_is_refused_in_words(data, words):
    check_pixels(identify(gif(8000, 4000, 2)))  # as large as may be
    with pytest.raises(InputError) as caught:
        check_pixels(identify(data))
    assert str(caught.value) == words


def ztxt(size_bytes):
    return chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(size_bytes)))


def itxt(size_bytes, mark=b"\1"):
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0" + mark + b"\0en\0key\0" + zlib.compress(bytes(size_bytes)))


def iccp(size_bytes):
    return chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(size_bytes)))


@pytest.mark.parametrize("text", [ztxt, itxt, partial(itxt, mark=b"\2"), iccp])
def test_a_picture_whose_texts_no_server_would_unpack_is_opened_without_them(text):
    data = picture(text(MIB + 1), ztxt(10), after=[ztxt(2 * MIB)])
    with pytest.raises(ValueError, match="too large"):
        Image.open(io.BytesIO(data)).load()
    with Image.open(io.BytesIO(readable(identify(data)).data)) as image:
        image.load()
        assert (image.getpixel((0, 0)), image.text["workflow"]) == ((0, 128, 128), "\0" * 10)


@pytest.mark.parametrize(
    "data",
    [
        picture(),
        picture(ztxt(MIB), itxt(MIB), iccp(100)),
        picture(chunk(b"tEXt", b"workflow\0" + b"x" * 2 * MIB)),
        picture(chunk(b"iTXt", b"key\0\0\0\0\0" + b"x" * 2 * MIB)),
        picture(chunk(b"zTXt", b"no end of a name")),
        picture(chunk(b"zTXt", b"a\0\0" + b"not packed")),
        picture()[:-7],
    ],
)
def test_every_other_picture_stays_as_it_is(data):
    assert readable(identify(data)).data is data


def broken_ztxt(size_bytes):
    packing = zlib.compressobj()
    return chunk(b"zTXt", b"a\0\0" + packing.compress(bytes(size_bytes)) + packing.flush(zlib.Z_FULL_FLUSH) + b"\xff")


@pytest.mark.parametrize("text", [ztxt(MIB), broken_ztxt(MIB - 1000)])
def test_texts_that_are_large_together_are_left_out_from_where_they_are_also_if_they_break_after_much_was_unpacked(
    text,
):
    left = readable(identify(picture(*[text] * 200, ztxt(10)))).data
    assert left.count(b"zTXt") == 33
