"""Sizes of images, read from headers that somebody may have made to mislead or to keep a reader busy."""

import io
import struct
import tracemalloc
import zlib

import pytest
from PIL import Image

from contract.image_headers import BrokenHeader, extent_of
from contract.inputs import MAX_PIXELS

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif"}
SIDE = 50_000


def encoded(kind, size=(8, 6), frames=1):
    stream = io.BytesIO()
    pictures = [Image.new("RGB", size, (80 * number, 0, 0)) for number in range(frames)]
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(stream, kind, **more)
    return stream.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(*sizes, more=()):
    """A TIFF of pages that hold nothing but their sizes."""
    pages = []
    for number, (width, height) in enumerate(sizes, start=1):
        tags = (256, 257, 258, 259, 262, 273, 277, 278, 279)
        entries = [*zip(tags, (width, height, 8, 1, 1, 8, 1, height, 1), strict=True), *more]
        start = 8 + number * (2 + 12 * len(entries) + 4) if number < len(sizes) else 0
        body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        pages.append(struct.pack("<H", len(entries)) + body + struct.pack("<I", start))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(pages)


def gif(width, height, frames):
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + frames * frame + b";"


MIB = 1024 * 1024
JPEG_HEAD = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
BOMBS = {
    "png": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", b"x"),
    "jpg": JPEG_HEAD
    + b"\xff\xc0\x00\x11\x08"
    + struct.pack(">HH", SIDE, SIDE)
    + b"\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00",
    "gif": gif(SIDE, SIDE, 1),
    "tif": tiff((SIDE, SIDE)),
    "bmp": b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 24, *[0] * 6),
}
PNG_HEAD = BOMBS["png"][:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 6, 8, 2, 0, 0, 0))
SCAN = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x01\x00\x3f\x00"
WEBP_HEAD = b"RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\0\0\0\2" + bytes(9)
AVIF_HEAD = struct.pack(">I4s4sI4s", 20, b"ftyp", b"avif", 0, b"avif")


def frame_header(width, height):
    return b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01"


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def avif(kind, *sizes):
    items = (box(kind, bytes(4), struct.pack(">II", *size)) for size in sizes)
    return AVIF_HEAD + box(b"meta", bytes(4), box(b"iprp", box(b"ipco", *items)))


def avif_track(samples=0, chunks=0, in_chunk=0):
    tables = [
        box(b"stsz", bytes(8), struct.pack(">I", samples)),
        box(b"stco", bytes(4), struct.pack(">I", chunks)),
        box(b"stsc", bytes(4), struct.pack(">IIII", 1, 1, in_chunk, 1)),
    ]
    return box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", *tables)))))


def mpf(pictures, offsets):
    """A segment that lists several pictures in one file; if it does not describe them, all are like the first."""
    entries = b"".join(struct.pack("<IIIHH", 0, 100, offset, 0, 0) for offset in offsets)
    directory = struct.pack("<HHHII", 2, 0xB001, 4, 1, pictures) + struct.pack("<HHII", 0xB002, 7, len(entries), 50)
    payload = b"MPF\0II*\0\x08\0\0\0" + directory + bytes(4 + 50 - 8 - len(directory) - 4) + entries
    return b"\xff\xe2" + struct.pack(">H", len(payload) + 2) + payload


MANY_PARTS = {
    "jpg of small Exif segments": JPEG_HEAD + b"\xff\xe1\x00\x08Exif\0\0" * (8 * MIB // 10),
    "jpg of empty segments": JPEG_HEAD + b"\xff\xfe\x00\x02" * (2 * MIB),
    "jpg of fillers": JPEG_HEAD + b"\xff" * (8 * MIB),
    "png of empty chunks": PNG_HEAD + chunk(b"tEXt", b"") * (8 * MIB // 12),
    "gif of a comment in tiny blocks": gif(8, 8, 0)[:-1] + b"!\xfe" + b"\x01a" * (4 * MIB) + b"\0;",
    "gif of empty extensions": gif(8, 8, 0)[:-1] + b"!\xfe\0" * (3 * MIB) + b";",
    "webp of empty chunks": WEBP_HEAD + b"EXIF\0\0\0\0" * MIB,
    "tif of a directory of itself": b"II*\0\x08\0\0\0" + b"\xff\xff" * (8 * MIB),
    "avif of empty boxes": AVIF_HEAD + b"\0\0\0\x08free" * MIB,
    "avif of nested boxes": AVIF_HEAD
    + b"".join(struct.pack(">I4s", 8 * (200_000 - depth), b"iprp") for depth in range(200_000)),
    "jpg of segments that each claim thousands of pictures": JPEG_HEAD + mpf(0xFFFF, []) * 3000 + frame_header(8, 6),
    "gif of millions of frames": gif(1, 1, 2_000_000),
}


@pytest.mark.parametrize("name", MANY_PARTS)
def test_a_file_made_to_be_looked_at_for_long_is_refused_after_a_bounded_part_of_it(name, monkeypatch):
    for bound in ("MAX_PARTS", "MAX_BLOCKS", "MAX_FRAMES"):
        monkeypatch.setattr(f"contract.image_headers.{bound}", 10)
    tracemalloc.start()
    try:
        with pytest.raises(BrokenHeader, match="too many parts"):
            extent_of(MANY_PARTS[name], name.partition(" ")[0])
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


LONG = zlib.compress(b"x" * 1_200_000)
NOTES = b"".join(b"\xff" + marker + b"\xff\xff" + bytes(0xFFFD) for marker in (b"\xe1", b"\xe2", b"\xfe")) * 20


@pytest.mark.parametrize(
    ("kind", "head", "extra"),
    [
        ("PNG", 33, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG)),
        ("PNG", 33, chunk(b"tEXt", b"workflow\0" + b"x" * 1_200_000)),
        ("PNG", 33, chunk(b"iTXt", b"a\0\1\0\0\0" + LONG) * 200),
        ("JPEG", 20, NOTES),
    ],
)
def test_a_sound_picture_may_say_much_of_itself(kind, head, extra):
    picture = encoded(kind)
    found = extent_of(picture[:head] + extra + picture[head:], EXTENSIONS.get(kind, "png"))
    assert (found.width, found.height, found.frames) == (8, 6, 1)


HUGE = {
    **{f"the size of a {kind}": (kind, data) for kind, data in BOMBS.items()},
    "a size after the first one": ("png", BOMBS["png"][:8] + encoded("PNG")[8:33] + BOMBS["png"][8:]),
    "a second size of a jpg": ("jpg", encoded("JPEG")[:2] + frame_header(8, 6) + BOMBS["jpg"][2:]),
    "pictures of a jpg": ("jpg", JPEG_HEAD + mpf(2000, [0]) + frame_header(8000, 800) + SCAN),
    "a gif's frame beyond its screen": (
        "gif",
        gif(8, 8, 0)[:-1] + b"\x2c" + struct.pack("<HHHHB", 0, 0, SIDE, SIDE, 0) + b"\2\0",
    ),
    "gif frames behind what is no block": ("gif", gif(8000, 8000, 1)[:-1] + b"\x7f" + gif(1, 1, 1)[13:]),
    "a second page": ("tif", tiff((8, 8), (SIDE, SIDE))),
    "a tile": ("tif", tiff((8, 8), more=((322, SIDE), (323, SIDE)))),
    "a bmp upside down": ("bmp", BOMBS["bmp"][:22] + struct.pack("<i", -SIDE) + BOMBS["bmp"][26:]),
    "an avif's later item": ("avif", avif(b"ispe", (8, 8), (SIDE, SIDE))),
    "frames of an avif": ("avif", avif(b"ispe", (8000, 8000)) + avif_track(samples=2)),
    "frames of an avif in chunks": ("avif", avif(b"ispe", (8000, 8000)) + avif_track(chunks=1, in_chunk=2)),
    "a webp's frame": ("webp", WEBP_HEAD + b"ANMF\x10\0\0\0" + bytes(6) + b"\xff\xff\0" * 2 + bytes(4)),
}


@pytest.mark.parametrize("where", HUGE)
def test_a_huge_size_counts_wherever_a_format_lets_it_stand(where):
    kind, data = HUGE[where]
    assert extent_of(data, kind).pixels > MAX_PIXELS


@pytest.mark.parametrize(
    ("kind", "frames"),
    [*((kind, 1) for kind in KINDS), *((kind, 3) for kind in (*KINDS, "MPO") if kind not in {"JPEG", "BMP"})],
)
def test_sizes_are_what_the_servers_library_finds(kind, frames):
    data = encoded(kind, (123, 45), frames)
    with Image.open(io.BytesIO(data)) as image:
        found = extent_of(data, EXTENSIONS.get(kind, kind.lower()))
        assert (found.width, found.height, found.frames) == (*image.size, getattr(image, "n_frames", 1))
        assert found.pixels == 123 * 45 * found.frames


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_whose_header_is_broken_or_cut_is_refused(kind):
    whole = encoded(kind)
    with pytest.raises(BrokenHeader):
        extent_of(whole[:20], EXTENSIONS.get(kind, kind.lower()))
