"""How large images are once they are unpacked, told by their headers: a small file may be a huge picture.

The headers are read by the library that the model servers read them with: both see the same picture.
"""

import io
from collections.abc import Callable, Mapping

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import DecompressionBombError
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from queue_agent.errors import InputFault
from queue_agent.media import Media

MAX_PIXELS = 64_000_000
"""Of all frames of an image together; a model server takes each for 12 bytes."""
MAX_FRAMES = 10_000

# Opened by their own classes, and no others: what the library finds in stranger formats has been its weak side.
_READERS: Mapping[str, Callable[[io.BytesIO], ImageFile]] = {
    "png": PngImageFile,
    "jpg": JpegImageFile,
    "webp": WebPImageFile,
    "gif": GifImageFile,
    "tif": TiffImageFile,
    "bmp": BmpImageFile,
    "avif": AvifImageFile,
}

_GIF_HEADER_BYTES, _GIF_FRAME_BYTES = 13, 10
_GIF_FRAME, _GIF_EXTENSION = 0x2C, 0x21


def check_pixels(image: Media) -> None:
    """Make sure that an image is not too large to be unpacked. Nothing of it is; a long animation is walked through.

    Raises:
        InputFault: It is, or nobody can tell.
    """
    reader = _READERS.get(image.extension)
    if reader is None:
        raise InputFault(f"is an image of type {image.content_type}; {', '.join(_READERS)} are taken")
    try:
        with reader(io.BytesIO(image.data)) as opened:
            width, height = opened.size
            frames, pixels = _extent(opened, image.data)
    except DecompressionBombError as exc:
        raise InputFault(f"is an image of too many pixels; at most {MAX_PIXELS} are taken") from exc
    except Exception as exc:  # malformed headers make the library raise nearly anything
        raise InputFault(f"is a broken {image.extension} image: its size cannot be read") from exc
    if pixels > MAX_PIXELS or frames > MAX_FRAMES:
        times = f" in {frames} frames" if frames > 1 else ""
        size = f"{width} × {height} pixels"  # noqa: RUF001 (a size, not a letter)
        raise InputFault(f"is an image of {size}{times}; at most {MAX_PIXELS} are taken")


def _extent(image: ImageFile, data: bytes) -> tuple[int, int]:
    """Frames of an image, and the pixels of all; where there are too many, as far as that is certain."""
    width, height = image.size
    if isinstance(image, TiffImageFile):
        return _tiff_extent(image)
    frames = _gif_frames(data) if isinstance(image, GifImageFile) else int(getattr(image, "n_frames", 1))
    return frames, frames * width * height


def _tiff_extent(image: TiffImageFile) -> tuple[int, int]:
    """Count page by page, for each has a size of its own, until there are too many."""
    frames = pixels = 0
    while frames <= MAX_FRAMES and pixels <= MAX_PIXELS:
        pixels += image.size[0] * image.size[1]
        frames += 1
        try:
            image.seek(frames)
        except EOFError:
            break
    return frames, pixels


def _gif_frames(data: bytes) -> int:
    """Count until there are too many; the library would take minutes over a file that is made to have many."""
    frames = 0
    at = _GIF_HEADER_BYTES + _colours_bytes(data[10])
    while at < len(data) and frames <= MAX_FRAMES:
        if data[at] == _GIF_FRAME:
            frames += 1
            at += _GIF_FRAME_BYTES + _colours_bytes(data[at + 9]) + 1
        elif data[at] == _GIF_EXTENSION:
            at += 2
        else:
            break
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    return frames


def _colours_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
