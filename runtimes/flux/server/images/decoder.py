"""Decodes each image in its own process, with limits: a malicious or broken file can harm no more than that process.

The process runs this module too. It reads a line of JSON and the image in base64, and writes a line of JSON and the
pixels. It starts for each image, so this module must import nothing slow.
"""

import base64
import io
import json
import resource
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from contract.image_headers import BrokenHeader, extent_of
from contract.inputs import MAX_PIXELS
from runtimes.flux.server.errors import InvalidImageError

MAX_CPU_SECONDS = 20
"""An image with MAX_PIXELS takes a quarter of this on a slow core."""
MAX_MEMORY_BYTES = 2 * 1024 * 1024 * 1024
"""Address space; an image with MAX_PIXELS and transparency takes half of it."""
_MAX_SECONDS = 120
_MAX_METADATA_BYTES = 64 * 1024 * 1024
"""For a PNG's texts and profile, unpacked; Pillow's own limit of 1 MiB rejects valid files."""
_ROOT = Path(__file__).parents[4]
_COMMAND = (sys.executable, "-B", "-m", "runtimes.flux.server.images.decoder")
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
"""Format, offset and signature of its files."""
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_WIDE_MODES = {"F": "floating-point numbers", "I": "32-bit numbers"}
"""The range of values is unknown, so most images would turn out black or white."""
_TOO_MUCH = "takes too much memory or time to be unpacked; save it again, smaller or as PNG"
_NO_IMAGE = f"is not an image; it may be {', '.join(_FORMATS)}"


def decode(content: str, background: str | None = "#ffffff") -> Image.Image:
    """Read an image, or the first of an animation, rotated by its EXIF orientation and without transparency.

    Args:
        content: Base64, alone or in a data URL.
        background: Colour behind transparent parts, as ``#rrggbb``; the result is in RGB. None reads a mask in "L",
            whose transparent parts become black and so are kept.

    Raises:
        InvalidImageError: It is not an image, is too large, or takes too much memory or time.
    """
    head = {"background": background, "cpu_seconds": MAX_CPU_SECONDS, "memory_bytes": MAX_MEMORY_BYTES}
    try:
        # Without the environment, which may hold a token for the hub.
        ended = subprocess.run(  # noqa: S603 (this module)
            _COMMAND,
            input=json.dumps(head).encode() + b"\n" + content.encode(errors="replace"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env={},
            timeout=_MAX_SECONDS,
            start_new_session=True,  # Ctrl-C in the server's terminal must not reach it
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise InvalidImageError(_TOO_MUCH) from exc
    if ended.returncode < 0:
        raise InvalidImageError(_TOO_MUCH)
    ended.check_returncode()
    line, _, pixels = ended.stdout.partition(b"\n")
    answer = json.loads(line)
    if "error" in answer:
        raise InvalidImageError(answer["error"])
    return Image.frombytes(answer["mode"], tuple(answer["size"]), pixels)


def main() -> None:
    """Decode the image on standard input. A process killed at its limits writes nothing."""
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = _MAX_METADATA_BYTES
    head = json.loads(sys.stdin.buffer.readline())
    _limit(resource.RLIMIT_CPU, head["cpu_seconds"])
    if sys.platform == "linux":  # other systems count shared memory, or refuse
        _limit(resource.RLIMIT_AS, head["memory_bytes"])
    answer: dict[str, object]
    pixels = b""
    try:
        image = decoded(sys.stdin.buffer.read().decode(), head["background"])
        answer, pixels = {"mode": image.mode, "size": image.size}, image.tobytes()
    except InvalidImageError as exc:
        answer = {"error": str(exc)}
    except MemoryError:
        answer = {"error": _TOO_MUCH}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.write(pixels)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def decoded(content: str, background: str | None = "#ffffff") -> Image.Image:
    """Decode in this process; raises MemoryError too, because a broken file can take any amount of memory."""
    data = _bytes_of(content)
    _check_extent(data)
    try:
        image = _upright(data)
    except (MemoryError, InvalidImageError):
        raise
    except UnidentifiedImageError as exc:
        raise InvalidImageError(_NO_IMAGE) from exc
    except Exception as exc:  # Pillow raises anything for a broken file: SyntaxError and struct.error were seen
        raise InvalidImageError("is a broken image") from exc
    return _opaque(image, "#000000").convert("L") if background is None else _opaque(image, background)


def _bytes_of(content: str) -> bytes:
    text = content.strip()
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=False)
    except ValueError as exc:
        raise InvalidImageError("is not base64") from exc


def _check_extent(data: bytes) -> None:
    """Check the size, and how much comes before the pixels, before unpacking anything."""
    kind = next((kind for kind, at, signature in _SIGNATURES if data.startswith(signature, at)), None)
    if kind is None:
        raise InvalidImageError(_NO_IMAGE)
    try:
        extent = extent_of(data, kind)
    except BrokenHeader as exc:
        raise InvalidImageError(f"is a broken image: {exc}") from exc
    _check_pixels(extent.width, extent.height)


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InvalidImageError(f"is an image of {width} x {height} pixels; the limit is {MAX_PIXELS} pixels")


def _upright(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    _check_pixels(image.width, image.height)  # Pillow may use another of the file's sizes
    image.load()
    if image.mode in _WIDE_MODES:
        raise InvalidImageError(f"is an image of {_WIDE_MODES[image.mode]}; save it with 8 or 16 bits a channel")
    return ImageOps.exif_transpose(image)


def _opaque(image: Image.Image, background: str) -> Image.Image:
    """Convert to RGB and drop the file's metadata."""
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.new("RGB", image.size, background)
        image.paste(over, mask=over.getchannel("A"))
    elif image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256, "L")  # convert alone clips at 255
    plain = image.convert("RGB")
    plain.info.clear()
    return plain


if __name__ == "__main__":
    main()
