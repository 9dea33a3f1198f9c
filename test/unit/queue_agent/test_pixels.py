import io
import struct
import time
import zlib

import pytest
from PIL import Image

from queue_agent.errors import InputFault
from queue_agent.inputs.fetcher import InputFetcher
from queue_agent.inputs.pixels import MAX_FRAMES, MAX_PIXELS, check_pixels
from queue_agent.media import identify
from queue_agent.ports import Input

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
SIDE = 50_000
TIMES = "\u00d7"


def encoded(kind, size=(8, 6), frames=1):
    stream = io.BytesIO()
    pictures = [Image.new("RGB", size, (80 * number, 0, 0)) for number in range(frames)]
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(stream, kind, **more)
    return stream.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(*sizes):
    """A TIFF of pages that hold nothing but their sizes."""
    pages = []
    for number, (width, height) in enumerate(sizes, start=1):
        entries = [
            (256, width),
            (257, height),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, 8),
            (277, 1),
            (278, height),
            (279, 1),
        ]
        start = 8 + number * (2 + 12 * len(entries) + 4) if number < len(sizes) else 0
        body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        pages.append(struct.pack("<H", len(entries)) + body + struct.pack("<I", start))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(pages)


def gif(width, height, frames):
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + frames * frame + b";"


BOMBS = {
    "png": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", b"x"),
    "jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    + b"\xff\xc0\x00\x11\x08"
    + struct.pack(">HH", SIDE, SIDE)
    + b"\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00",
    "gif": gif(SIDE, SIDE, 1),
    "tif": tiff((SIDE, SIDE)),
    "bmp": b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 24, *[0] * 6),
}
LARGEST_WEBP = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0/" + struct.pack("<I", 16382 | 16382 << 14) + bytes(8)


@pytest.mark.parametrize("kind", KINDS)
def test_an_ordinary_image_is_taken(kind):
    check_pixels(identify(encoded(kind)))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
def test_an_ordinary_animation_is_taken(kind):
    check_pixels(identify(encoded(kind, frames=3)))


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_declares_a_huge_image_is_refused_with_its_size(kind):
    image = identify(BOMBS[kind])
    assert (image.extension, len(image.data) < 200) == (kind, True)
    with pytest.raises(InputFault) as caught:
        check_pixels(image)
    assert str(caught.value) == f"is an image of 50000 {TIMES} 50000 pixels; at most {MAX_PIXELS} are taken"


def test_the_largest_webp_is_refused():
    assert identify(LARGEST_WEBP).extension == "webp"
    with pytest.raises(InputFault, match="too many pixels"):
        check_pixels(identify(LARGEST_WEBP))


def test_an_image_at_the_limit_is_taken_and_one_beyond_it_is_not():
    check_pixels(identify(tiff((8000, 8000))))
    with pytest.raises(InputFault, match=f"8000 {TIMES} 8001"):
        check_pixels(identify(tiff((8000, 8001))))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
def test_the_frames_of_an_animation_count_together(kind, monkeypatch):
    monkeypatch.setattr("queue_agent.inputs.pixels.MAX_PIXELS", 3 * 48 - 1)
    check_pixels(identify(encoded(kind, frames=2)))
    with pytest.raises(InputFault, match=f"8 {TIMES} 6 pixels in 3 frames; at most 143"):
        check_pixels(identify(encoded(kind, frames=3)))


def test_a_second_page_that_is_larger_than_the_first_counts():
    with pytest.raises(InputFault, match="in 2 frames"):
        check_pixels(identify(tiff((8, 8), (SIDE, SIDE))))


@pytest.mark.parametrize(("width", "data"), [(8000, gif(8000, 8000, 2_000_000)), (1, gif(1, 1, 2_000_000))])
def test_a_file_of_millions_of_tiny_frames_is_refused_without_counting_them_all(width, data):
    start_s = time.monotonic()
    with pytest.raises(InputFault, match=f"in {MAX_FRAMES + 1} frames"):
        check_pixels(identify(data))
    assert time.monotonic() - start_s < 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_whose_header_is_broken_or_cut_is_refused(kind):
    whole = encoded(kind)
    halves = [identify(whole[:size_bytes]) for size_bytes in range(13, len(whole) // 2)]
    image = next(half for half in halves if half.kind == "image")
    with pytest.raises(InputFault, match=r"broken|pixels"):
        check_pixels(image)


def test_an_image_of_a_type_whose_size_cannot_be_read_is_refused_by_its_type():
    photoshop = identify(b"8BPS\0\x01" + bytes(300))
    assert photoshop.kind == "image"
    with pytest.raises(InputFault, match=r"type image/vnd\.adobe\.photoshop; png, jpg, webp, gif, tif, bmp, avif are"):
        check_pixels(photoshop)


class Store:
    """One object, whatever is asked for."""

    def __init__(self, data):
        self._data = data

    async def get(self, bucket, key, max_bytes):
        return self._data


def fetcher(data):
    return InputFetcher(web=None, store=Store(data), bucket="b", input_buckets=frozenset())


async def test_a_link_to_a_huge_image_fails_its_task_in_the_words_of_its_field():
    with pytest.raises(InputFault) as caught:
        await fetcher(BOMBS["png"]).fetch([Input("s3://b/k", "init_images[0]")])
    assert str(caught.value) == (
        f"init_images[0]: the link is an image of 50000 {TIMES} 50000 pixels; at most {MAX_PIXELS} are taken"
    )


async def test_a_link_to_a_video_is_not_looked_at_for_pixels():
    video = bytes.fromhex("000000206674797069736f6d0000020069736f6d69736f32617663316d703431") + bytes(100)
    assert await fetcher(video).fetch([Input("s3://b/k", "video", ("video",))])
