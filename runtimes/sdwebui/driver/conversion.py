"""Pictures as SD WebUI is given them: in forms whose decoders are sound in the libraries that it is pinned to.

SD WebUI 1.10.1 runs with Pillow 9.5.0, whose own copies of libwebp, libtiff and libavif have known holes. The agent's
are current, so it unpacks such a picture and writes it as PNG.
"""

import io
from collections.abc import Mapping

from PIL import ImageOps
from PIL.AvifImagePlugin import AvifImageFile
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from contract.field_errors import one_of
from queue_agent.errors import InputError
from queue_agent.media import Media

MAX_PIXELS = 16_000_000
"""Of all pictures of a task that are converted together: each pixel takes four bytes while it is."""

_READERS: Mapping[str, type[ImageFile]] = {"webp": WebPImageFile, "avif": AvifImageFile, "tif": TiffImageFile}
_KEPT_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_ALPHA_MODES = frozenset({"RGBa", "La", "PA"})
_FAST = 1


def converted(pictures: Mapping[str, Media]) -> dict[str, Media]:
    """Write pictures of a task as PNG where they come in another form than PNG, JPEG, GIF or BMP.

    Raises:
        InputError: They have too many pixels together, or one cannot be decoded.
    """
    left = MAX_PIXELS
    written = dict(pictures)
    for text, media in pictures.items():
        if reader := _READERS.get(media.extension):
            try:
                with reader(io.BytesIO(media.data)) as opened:
                    left -= opened.width * opened.height
                    if left >= 0:
                        written[text] = _png_of(opened)
            except Exception as exc:  # a broken file makes the library raise nearly anything
                raise InputError(f"A {media.extension} picture cannot be decoded ({type(exc).__name__}).") from exc
    if left < 0:
        raise InputError(
            f"Pictures in {one_of(list(_READERS))} have {MAX_PIXELS - left} pixels together; SD WebUI is given at most "
            f"{MAX_PIXELS} in these formats. Send larger ones as png or jpg."
        )
    return written


def _png_of(opened: ImageFile) -> Media:
    """The picture, the first one of an animation, upright, without what else the file holds."""
    upright = ImageOps.exif_transpose(opened)
    plain = (
        upright if upright.mode in _KEPT_MODES else upright.convert("RGBA" if upright.mode in _ALPHA_MODES else "RGB")
    )
    plain.info.clear()
    written = io.BytesIO()
    plain.save(written, "PNG", compress_level=_FAST)
    return Media(written.getvalue(), "png", "image/png")
