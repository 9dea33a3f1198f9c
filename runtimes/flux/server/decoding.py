"""Images out of files that nobody vouches for: looked at before they are unpacked, then upright and opaque.

Free of all that takes long to import: the decoder is a process for each image (decoder.py).
"""

import base64
import io

from PIL import Image, ImageOps, UnidentifiedImageError

from contract.image_headers import BrokenHeader, extent_of
from contract.inputs import MAX_PIXELS

_SIGNATURES = (
    ("png", 0, b"\x89PNG\r\n\x1a\n"),
    ("jpg", 0, b"\xff\xd8\xff"),
    ("webp", 8, b"WEBP"),
    ("gif", 0, b"GIF8"),
    ("bmp", 0, b"BM"),
    ("tif", 0, b"II*\0"),
    ("tif", 0, b"MM\0*"),
    ("avif", 4, b"ftypavif"),
    ("avif", 4, b"ftypavis"),
    ("avif", 4, b"ftypmif1"),
    ("avif", 4, b"ftypmsf1"),
)
"""What a format's files begin with, and after how many bytes."""
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_WIDE_MODES = {"F": "floating-point numbers", "I": "32-bit numbers"}
"""Their range is not told: most would come out black or white."""


class ImageFault(ValueError):  # noqa: N818 (a fault of the request, as in contract.field_errors)
    """A given image cannot be taken; the message is a sentence without a subject."""


def decoded(content: str, background: str = "#ffffff") -> Image.Image:
    """Read an image, the first of an animation: upright by its EXIF orientation, in RGB, without transparency.

    Args:
        content: Base64, alone or in a data URL.
        background: Colour that lies under transparent parts, as ``#rrggbb``.

    Raises:
        ImageFault: It is no image, or too large.
        MemoryError: It is broken in a way that takes more memory than there is.
    """
    return _opaque(_opened(content), background)


def decoded_mask(content: str) -> Image.Image:
    """Read a mask, in "L"; what is transparent in it counts as black, which is kept.

    Raises:
        ImageFault: It is no image, or too large.
        MemoryError: It is broken in a way that takes more memory than there is.
    """
    return _opaque(_opened(content), "#000000").convert("L")


def _opened(content: str) -> Image.Image:
    data = _bytes_of(content)
    _check_extent(data)
    try:
        return _upright(data)
    except (MemoryError, ImageFault):
        raise
    except UnidentifiedImageError as exc:
        raise _no_image() from exc
    except Exception as exc:  # Pillow raises whatever a broken file leads it to: SyntaxError and struct.error were seen
        raise ImageFault("is a broken image") from exc


def _bytes_of(content: str) -> bytes:
    text = content.strip()
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=False)
    except ValueError as exc:
        raise ImageFault("is not base64") from exc


def _check_extent(data: bytes) -> None:
    """Look at the size before anything is unpacked, and at how much stands before the pixels.

    Raises:
        ImageFault: There is too much of either, or nobody can tell.
    """
    kind = next((kind for kind, at, signature in _SIGNATURES if data.startswith(signature, at)), None)
    if kind is None:
        raise _no_image()
    try:
        found = extent_of(data, kind)
    except BrokenHeader as exc:
        raise ImageFault(f"is a broken image: {exc}") from exc
    if found.width * found.height > MAX_PIXELS:
        raise ImageFault(f"is an image of {found.width} x {found.height} pixels; the limit is {MAX_PIXELS} pixels")


def _no_image() -> ImageFault:
    return ImageFault(f"is not an image; it may be {', '.join(_FORMATS)}")


def _upright(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.width * image.height > MAX_PIXELS:  # where Pillow goes by another of the file's sizes
        raise ImageFault(f"is an image of {image.width} x {image.height} pixels; the limit is {MAX_PIXELS} pixels")
    image.load()
    if image.mode in _WIDE_MODES:
        raise ImageFault(f"is an image of {_WIDE_MODES[image.mode]}; save it with 8 or 16 bits a channel")
    return ImageOps.exif_transpose(image)


def _opaque(image: Image.Image, background: str) -> Image.Image:
    """Turn into RGB, without what its file said beside the pixels."""
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.new("RGB", image.size, background)
        image.paste(over, mask=over.getchannel("A"))
    elif image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256, "L")  # convert alone clips at 255
    plain = image.convert("RGB")
    plain.info.clear()
    return plain
