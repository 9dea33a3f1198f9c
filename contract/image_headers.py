"""The size of decoded images, read from their headers in a bounded number of steps.

The readers look only at what precedes the first picture, and in animations at the frames' headers. If a format allows
a size in several places, the largest counts, because programs differ in which one they use.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

MAX_FRAMES = 10_000
"""The readers count no more."""
MAX_PARTS = 100_000
"""Segments, chunks, boxes or tags that are read; an image with more before its first picture is rejected."""
MAX_BLOCKS = 1_000_000
"""Of a GIF's data; an ordinary file of 64 MiB has a quarter of that."""
_MAX_DEPTH = 16

Reader = Callable[[bytes], "Extent"]


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of the largest frame, and the pixels of all frames together."""

    width: int
    height: int
    frames: int
    """At most MAX_FRAMES + 1."""
    pixels: int


class BrokenHeader(ValueError):  # noqa: N818 (an error of the input)
    """Headers are invalid, or have no end."""


def extent_of(data: bytes, extension: str) -> Extent:
    """Read the extent of an image from the whole file; its extension is one of READERS.

    Raises:
        BrokenHeader: It cannot be read.
    """
    try:
        found = READERS[extension](data)
    except (IndexError, struct.error) as exc:
        raise BrokenHeader("the file ends before its headers do") from exc
    if not found.pixels:
        raise BrokenHeader("the image has no pixels")
    return found


def _uniform(sizes: list[tuple[int, int]], frames: int) -> Extent:
    """All frames count as large as the largest: each is decoded onto the same canvas."""
    if not sizes:
        raise BrokenHeader("no size is given")
    width, height = max(size[0] for size in sizes), max(size[1] for size in sizes)
    return Extent(width, height, frames, frames * width * height)


def _png(data: bytes) -> Extent:
    sizes, frames, first_is_frame = [], 1, True
    at = 8
    for _ in range(MAX_PARTS):
        (length,) = struct.unpack_from(">I", data, at)
        kind, start = data[at + 4 : at + 8], at + 8
        if kind == b"IHDR":
            sizes.append(struct.unpack_from(">II", data, start))
        elif kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data, start)
            first_is_frame = False
        elif kind == b"fcTL":
            first_is_frame = True
        elif kind == b"IDAT":
            return _uniform(sizes, min(max(frames, 1) + (not first_is_frame), MAX_FRAMES + 1))
        at = start + length + 4
    raise BrokenHeader("it has too many parts")


_JPEG_BARE = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})
"""Markers without a length: fillers, restarts, the image's beginning and end."""
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_UNKNOWN = frozenset({0xC8, *range(0x02, 0xC0), *range(0xF0, 0xFE)})
"""Nobody writes them, and programs continue differently after them."""
_JPEG_SCAN, _JPEG_APP2 = 0xDA, 0xE2
_JPEG_MAX_JUNK_BYTES = 65_536
_JPEG_MAX_SEGMENTS = 2_000
"""Before a picture; 64 MiB have room for half as many full ones. Decoders join segments of one kind repeatedly."""
_MPF = b"MPF\0"
_MPF_PICTURES, _MPF_ENTRIES = 0xB001, 0xB002


def _jpeg(data: bytes) -> Extent:
    steps = iter(range(MAX_PARTS))
    first, others = _jpeg_head(data, 0, steps)
    sizes = [first]
    for offset in others:
        if len(sizes) > MAX_FRAMES:
            break
        try:
            sizes.append(_jpeg_head(data, offset, steps)[0])
        except (IndexError, struct.error):
            sizes.append(first)
    width, height = max(sizes, key=_pixels)
    return Extent(width, height, len(sizes), sum(map(_pixels, sizes)))


def _jpeg_head(data: bytes, start: int, steps: Iterator[int]) -> tuple[tuple[int, int], list[int]]:
    """The size of the picture that begins at ``start``, and the positions of further pictures in its file."""
    size, others = (0, 0), []
    at, segments = start, 0
    while True:
        _count(steps)
        at = data.find(b"\xff", at, at + _JPEG_MAX_JUNK_BYTES) + 1
        if not at:
            raise IndexError
        marker = data[at]
        if marker == 0xFF:  # noqa: PLR2004 (a marker may be filled up with them)
            continue
        at += 1
        if marker in _JPEG_BARE:
            continue
        if marker in _JPEG_UNKNOWN:
            raise BrokenHeader("a marker is unknown")
        (length,) = struct.unpack_from(">H", data, at)
        segments += 1
        if segments > _JPEG_MAX_SEGMENTS:
            raise BrokenHeader("it has too many parts")
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            size = max(size, (width, height), key=_pixels)
        elif marker == _JPEG_APP2 and data.startswith(_MPF, at + 2):
            others += _further_pictures(data, at + 2 + len(_MPF), steps)
        elif marker == _JPEG_SCAN:
            return size, others
        at += max(length, 2)


def _further_pictures(data: bytes, start: int, steps: Iterator[int]) -> list[int]:
    """Where the further pictures of a file of several begin (CIPA DC-007); beyond the end where it does not say."""
    order = "<" if data.startswith(b"II", start) else ">"
    (directory,) = struct.unpack_from(order + "I", data, start + 4)
    offsets: list[int] = []
    pictures = 0
    for tag, _, number, at in _directory(data, start + directory, order, steps):
        (value,) = struct.unpack_from(order + "I", data, at)
        if tag == _MPF_PICTURES:
            pictures = min(value, MAX_FRAMES + 2)
        elif tag == _MPF_ENTRIES:
            for entry in range(start + value + 16, start + value + number // 16 * 16, 16):
                _count(steps)
                offsets.append(start + struct.unpack_from(order + "I", data, entry + 8)[0])
    for _ in range(pictures - 1 - len(offsets)):
        _count(steps)
        offsets.append(len(data))
    return offsets


def _directory(data: bytes, at: int, order: str, steps: Iterator[int]) -> Iterator[tuple[int, int, int, int]]:
    """The entries of a directory as in TIFF: tag, type, count, and where the value stands."""
    (count,) = struct.unpack_from(order + "H", data, at)
    for number in range(count):
        _count(steps)
        entry = at + 2 + 12 * number
        yield (*struct.unpack_from(order + "HHI", data, entry), entry + 8)


def _count(steps: Iterator[int]) -> None:
    if next(steps, None) is None:
        raise BrokenHeader("it has too many parts")


_TIFF_SIZES = {256: 0, 257: 1, 322: 2, 323: 3}
"""Tags of width and height, of the image and of a tile: a tile is unpacked whole, however small the image."""
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}


def _tiff(data: bytes) -> Extent:
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    seen: set[int] = set()
    largest, pixels, steps = (0, 0), 0, iter(range(MAX_PARTS))
    while at and at not in seen and len(seen) <= MAX_FRAMES:
        seen.add(at)
        size = _tiff_size(data, at, order, steps)
        pixels += _pixels(size)
        largest = max(largest, size, key=_pixels)
        (count,) = struct.unpack_from(order + "H", data, at)
        (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    return Extent(*largest, len(seen), pixels)


def _tiff_size(data: bytes, at: int, order: str, steps: Iterator[int]) -> tuple[int, int]:
    """The size of a page, or of its tiles where they are larger."""
    sizes = [0, 0, 0, 0]
    for tag, kind, count, value_at in _directory(data, at, order, steps):
        if (place := _TIFF_SIZES.get(tag)) is None:
            continue
        if kind not in _TIFF_TYPES or count != 1:
            raise BrokenHeader("a size is not a whole number")
        (value,) = struct.unpack_from(order + _TIFF_TYPES[kind], data, value_at)
        sizes[place] = max(sizes[place], value)
    return max((sizes[0], sizes[1]), (sizes[2], sizes[3]), key=_pixels)


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]


_GIF_HEADER_BYTES, _GIF_FRAME_BYTES = 13, 10
_GIF_FRAME, _GIF_EXTENSION = 0x2C, 0x21
_GIF_BLOCK = re.compile(rb"[,!;]")


def _gif(data: bytes) -> Extent:
    width, height = struct.unpack_from("<HH", data, 6)
    frames = steps = 0
    parts = iter(range(MAX_PARTS))
    at = _GIF_HEADER_BYTES + _colours_bytes(data[10])
    while (block := _GIF_BLOCK.search(data, at)) and frames <= MAX_FRAMES:
        at = block.start()  # what stands between blocks is skipped, as readers do
        _count(parts)
        if data[at] == _GIF_FRAME:
            frames += 1
            left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, at + 1)
            width, height = max(width, left + frame_width), max(height, top + frame_height)
            at += _GIF_FRAME_BYTES + _colours_bytes(data[at + 9]) + 1
        elif data[at] == _GIF_EXTENSION:
            at += 2
        else:
            break
        while at < len(data) and data[at]:
            at += data[at] + 1
            steps += 1
            if steps > MAX_BLOCKS:
                raise BrokenHeader("it has too many parts")
        at += 1
    return Extent(width, height, frames, frames * width * height)


def _colours_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(data: bytes) -> Extent:
    sizes: list[tuple[int, int]] = []
    frames = 0
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    at = 12
    for _ in range(MAX_PARTS):
        if at >= end or frames > MAX_FRAMES:
            return _uniform(sizes, max(frames, 1))
        kind, start = data[at : at + 4], at + 8
        (length,) = struct.unpack_from("<I", data, at + 4)
        if kind == b"VP8X":
            sizes.append((_three(data, start + 4) + 1, _three(data, start + 7) + 1))
        elif kind == b"ANMF":
            frames += 1
            sizes.append((_three(data, start + 6) + 1, _three(data, start + 9) + 1))
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, start + 6)
            sizes.append((width & 0x3FFF, height & 0x3FFF))
        elif kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", data, start + 1)
            sizes.append(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        at = start + length + length % 2
    raise BrokenHeader("it has too many parts")


def _three(data: bytes, at: int) -> int:
    return data[at] | data[at + 1] << 8 | data[at + 2] << 16


_BMP_OLD_HEADER_BYTES = 12


def _bmp(data: bytes) -> Extent:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_bytes == _BMP_OLD_HEADER_BYTES else "<II", data, 18)
    return _uniform([(width, min(height, 2**32 - height))], 1)  # negative where the first row is the uppermost


_CONTAINERS = {
    **dict.fromkeys((b"iprp", b"ipco", b"moov", b"trak", b"mdia", b"minf", b"stbl"), 0),
    b"meta": 4,
    b"stsd": 8,
}
"""Boxes that hold boxes, and after how many bytes."""


def _avif(data: bytes) -> Extent:
    sizes, samples, chunks, in_chunk = [], [0], [0], [0]
    steps = iter(range(MAX_PARTS))
    for kind, start in _boxes(data, 0, len(data), steps, 0):
        if kind == b"ispe":
            sizes.append(struct.unpack_from(">II", data, start + 4))
        elif kind == b"av01":
            sizes.append(struct.unpack_from(">HH", data, start + 24))
        elif kind == b"stsz":
            samples.append(struct.unpack_from(">I", data, start + 8)[0])
        elif kind in {b"stco", b"co64"}:
            chunks.append(struct.unpack_from(">I", data, start + 4)[0])
        elif kind == b"stsc":
            (count,) = struct.unpack_from(">I", data, start + 4)
            for number in range(count):
                _count(steps)
                in_chunk.append(struct.unpack_from(">I", data, start + 8 + 12 * number + 4)[0])
    frames = max(*samples, max(chunks) * max(in_chunk), 1)
    return _uniform(sizes, min(frames, MAX_FRAMES + 1))


def _boxes(data: bytes, at: int, end: int, steps: Iterator[int], depth: int) -> Iterator[tuple[bytes, int]]:
    """Boxes at any depth: type, and where the content begins."""
    while at + 8 <= end:
        _count(steps)
        (length,) = struct.unpack_from(">I", data, at)
        kind, start = data[at + 4 : at + 8], at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = at + length if length else end
        if stop < start:
            raise BrokenHeader("a box is smaller than its head")
        yield kind, start
        if kind in _CONTAINERS and depth < _MAX_DEPTH:
            yield from _boxes(data, start + _CONTAINERS[kind], min(stop, end), steps, depth + 1)
        at = stop


READERS: Mapping[str, Reader] = {
    "png": _png,
    "jpg": _jpeg,
    "webp": _webp,
    "gif": _gif,
    "tif": _tiff,
    "bmp": _bmp,
    "avif": _avif,
}
