"""Images that model servers can safely open: not too many pixels, and no PNG texts that Pillow refuses."""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from contract.field_errors import one_of
from contract.image_headers import MAX_FRAMES, MAX_PARTS, READERS, BrokenHeader, extent_of
from contract.inputs import MAX_PIXELS
from queue_agent.errors import InputError
from queue_agent.media import Media

_MAX_TEXT_BYTES = 1024 * 1024
"""Of one text or colour profile: Pillow opens no PNG with a larger one."""
_MAX_UNPACKED_BYTES = 32 * _MAX_TEXT_BYTES
"""Of all together; further ones are removed without a look."""
_SIGNATURE_BYTES, _FRAME_BYTES = 8, 12


def checked(image: Media) -> Media:
    """The image without the texts that Pillow refuses, once its size is checked."""
    check_pixels(image)
    return readable(image)


def check_pixels(image: Media) -> None:
    """Make sure, without decoding it, that an image is not too large to be decoded, all its frames together."""
    if image.extension not in READERS:
        raise InputError(
            f"is an image of type {image.content_type}, which is not supported; send {one_of(tuple(READERS))}"
        )
    try:
        found = extent_of(image.data, image.extension)
    except BrokenHeader as exc:
        raise InputError(f"is a broken {image.extension} image: its size cannot be read ({exc})") from exc
    if found.pixels > MAX_PIXELS or found.frames > MAX_FRAMES:
        times = f" in {found.frames} frames" if found.frames > 1 else ""
        size = f"{found.width} × {found.height} pixels"  # noqa: RUF001 (a size, not a letter)
        raise InputError(f"is an image of {size}{times}; the limit is {MAX_PIXELS}")


def readable(image: Media) -> Media:
    """Remove texts and colour profiles from a PNG that unpack to more than Pillow reads; its pixels stay the same."""
    if image.extension != "png":
        return image
    try:
        kept = _kept(image.data)
    except struct.error:
        return image  # the rest of the file is broken: the server decides
    return image if kept is None else replace(image, data=kept)


def _kept(data: bytes) -> bytes | None:
    """The file without what is too large; None where nothing is too large."""
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
    """How many bytes it unpacks to, counted to one more than the limit; of broken data, the limit.

    So much may have been unpacked before the error was found, and that work counts.
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
        return b""  # readers treat all other flags as packed
    return rest[2:].partition(b"\0")[2].partition(b"\0")[2]


_PACKED: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"zTXt": _after_method,
    b"iCCP": _after_method,
    b"iTXt": _international,
}
"""Chunks that hold packed texts, and what extracts those."""
