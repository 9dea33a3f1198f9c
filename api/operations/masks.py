"""Masks of OpenAI's clients as all runtimes take them."""

import struct
import zlib
from itertools import accumulate

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {4: 2, 6: 4}
"""Of grey and of colour, with transparency last."""
_MAX_PIXELS = 4 * 1024 * 1024
"""Each takes time of a small processor."""
_WHITE_WHERE_TRANSPARENT = bytes(255 if alpha < 128 else 0 for alpha in range(256))  # noqa: PLR2004


def white_where_transparent(mask: bytes) -> bytes:
    """A mask that is transparent where a picture is drawn again, as a PNG that is white there and black elsewhere.

    A picture without transparency is a mask already, and stays as it is.

    Raises:
        ValueError: It is a PNG with transparency that cannot be read.
    """
    if not mask.startswith(_SIGNATURE) or len(mask) < 33 or mask[25] not in _CHANNELS:  # noqa: PLR2004
        return mask
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", mask[16:29])
    if depth != 8 or interlace or not 0 < width * height <= _MAX_PIXELS:  # noqa: PLR2004
        raise ValueError(f"must be a PNG of 8 bits a channel, not interlaced, of up to {_MAX_PIXELS} pixels")
    step = _CHANNELS[colour]
    row_bytes = 1 + width * step
    rows = _inflated(mask, row_bytes * height)
    above, lines = bytes(width), []
    for start in range(0, len(rows), row_bytes):
        # A filter looks at the same channel only, so that the others need not be read.
        above = _unfiltered(rows[start], rows[start + step : start + row_bytes : step], above)
        lines.append(b"\0" + above.translate(_WHITE_WHERE_TRANSPARENT))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _inflated(png: bytes, size: int) -> bytes:
    """The filtered rows of a PNG, which have that size."""
    inflater, rows, at = zlib.decompressobj(), b"", len(_SIGNATURE)
    try:
        while at < len(png) and len(rows) < size:
            (length,) = struct.unpack(">I", png[at : at + 4])
            if png[at + 4 : at + 8] == b"IDAT":
                rows += inflater.decompress(png[at + 8 : at + 8 + length], size - len(rows))
            at += 12 + length
    except (zlib.error, struct.error):
        rows = b""
    if len(rows) != size:
        raise ValueError("is no whole PNG")
    return rows


def _unfiltered(kind: int, row: bytes, above: bytes) -> bytes:
    """A channel of a row, from the one above (PNG's specification, "Filtering")."""
    if kind == 0:
        return row
    if kind == 1:
        return bytes(total & 255 for total in accumulate(row))
    if kind == 2:  # noqa: PLR2004
        return bytes((one + up) & 255 for one, up in zip(row, above, strict=True))
    found = bytearray()
    left = corner = 0
    for one, up in zip(row, above, strict=True):
        predicted = (left + up) >> 1 if kind == 3 else _paeth(left, up, corner)  # noqa: PLR2004
        left, corner = (one + predicted) & 255, up
        found.append(left)
    return bytes(found)


def _paeth(left: int, up: int, corner: int) -> int:
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner
