"""Keeps PNGs readable: Pillow, which model servers read them with, opens none whose texts unpack to more than 1 MiB."""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from contract.image_headers import MAX_PARTS
from queue_agent.media import Media

_MAX_TEXT_BYTES = 1024 * 1024
"""Of one text or colour profile, as Pillow has it."""
_MAX_UNPACKED_BYTES = 32 * _MAX_TEXT_BYTES
"""Of all; what comes after them is left out unseen."""
_SIGNATURE_BYTES, _FRAME_BYTES = 8, 12


def readable(image: Media) -> Media:
    """Leave texts and colour profiles out of a PNG that unpack to more than servers read; its picture is the same."""
    if image.extension != "png":
        return image
    try:
        kept = _kept(image.data)
    except struct.error:
        return image  # what follows the picture is broken, which is the server's to judge
    return image if kept is None else replace(image, data=kept)


def _kept(data: bytes) -> bytes | None:
    """The file without what is too large; None where nothing is."""
    pieces, start, at, unpacked = [], 0, _SIGNATURE_BYTES, 0
    for _ in range(MAX_PARTS):
        if at >= len(data):
            break
        (length,) = struct.unpack_from(">I", data, at)
        end = at + length + _FRAME_BYTES
        if (packed_of := _PACKED.get(data[at + 4 : at + 8])) is not None:
            size_bytes = _unpacked_bytes(packed_of(data[at + 8 : end - 4])) if unpacked <= _MAX_UNPACKED_BYTES else None
            unpacked += size_bytes or 0
            if size_bytes is None or size_bytes > _MAX_TEXT_BYTES:
                pieces.append(data[start:at])
                start = end
        at = end
    return b"".join([*pieces, data[start:]]) if pieces else None


def _unpacked_bytes(packed: bytes) -> int:
    """How many bytes it unpacks to, counted to one more than may be; for what is broken, the most that may be.

    So much may have been unpacked before the break was found, and what that costs must count.
    """
    try:
        return len(zlib.decompressobj().decompress(packed, _MAX_TEXT_BYTES + 1))
    except zlib.error:
        return _MAX_TEXT_BYTES


def _after_method(content: bytes) -> bytes:
    return content.partition(b"\0")[2][1:]


def _international(content: bytes) -> bytes:
    rest = content.partition(b"\0")[2]
    if rest[:1] in {b"", b"\0"}:
        return b""  # readers take all other marks for a packed text
    return rest[2:].partition(b"\0")[2].partition(b"\0")[2]


_PACKED: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"zTXt": _after_method,
    b"iCCP": _after_method,
    b"iTXt": _international,
}
"""Chunks that hold packed texts, and what finds those in them."""
