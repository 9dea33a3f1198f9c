"""Draw the picture that a prompt, a seed and a checkpoint ask for: the same request, the same bytes."""

import base64
import hashlib
import io
import re
from dataclasses import astuple, dataclass
from functools import lru_cache
from random import Random
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from runtimes.standin.scenery import PALETTES, SCENES, Canvas, paint_bokeh, paint_sky

MARK = "stand-in, no model"

_SUPERSAMPLED_PIXELS = 800 * 800
_MIN_CAPTION_HEIGHT = 48

_WORDS = {
    "hills": "mountain mountains hill hills valley landscape field fields meadow cat dog dragon castle",
    "sea": "sea ocean lake water beach island river coast coral reef wave waves boat ship fisherman",
    "city": "city street town cyberpunk building buildings skyline tokyo paris car robot",
    "forest": "forest tree trees wood woods jungle fir pine snowy fox deer bamboo",
    "dunes": "desert dune dunes sand mars planet camel",
    "dawn": "dawn morning sunrise misty mist portrait",
    "sunset": "sunset dusk evening golden red dragon fire",
    "night": "night moon moonlight stars dark space galaxy",
    "aurora": "aurora arctic ice snow snowy winter",
    "autumn": "autumn fall oil vintage",
    "lavender": "lavender purple violet dream fantasy pink",
    "meadow": "meadow green spring grass garden",
    "noon": "day noon summer blue sky beach",
    "desert": "desert sand dunes hot",
    "neon": "neon cyberpunk synthwave robot",
}
_HINTS = {
    choice: frozenset(key for key, words in _WORDS.items() if choice in words.split())
    for choice in {word for words in _WORDS.values() for word in words.split()}
}


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What to draw; width and height in pixels."""

    prompt: str
    negative: str = ""
    seed: int = 0
    width: int = 512
    height: int = 512
    checkpoint: str = ""


def chance_of(*parts: object) -> Random:
    """Return a source of chance that depends on the parts alone."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
    return Random(digest)  # noqa: S311 - it decides about scenery, not about secrets


def paint(brief: Brief) -> Image.Image:
    """Return the picture of the brief in RGB, its prompt at the foot and the stand-in's mark on it."""
    chance = chance_of(*astuple(brief))
    scale = 2 if brief.width * brief.height <= _SUPERSAMPLED_PIXELS else 1
    image = Image.new("RGB", (brief.width * scale, brief.height * scale))
    canvas = Canvas(
        image=image,
        draw=ImageDraw.Draw(image),
        palette=PALETTES[_choose(brief.prompt, tuple(PALETTES), chance)],
        chance=chance,
        horizon=max(1, round(image.height * chance.uniform(0.46, 0.64))),
        light_x=image.width * chance.uniform(0.16, 0.84),
    )
    paint_sky(canvas)
    SCENES[_choose(brief.prompt, tuple(SCENES), chance)](canvas)
    paint_bokeh(canvas)
    picture = image.reduce(scale) if scale > 1 else image
    return _captioned(_vignetted(picture), brief.prompt)


def unfinished(picture: Image.Image, share: float) -> Image.Image:
    """Return the picture as it looks when only `share` (0 to 1) of its steps are done."""
    return picture.filter(ImageFilter.GaussianBlur((1 - share) * min(picture.size) / 8))


def blend(given: Image.Image, drawn: Image.Image, strength: float) -> Image.Image:
    """Return the given picture redrawn to `strength` (0 keeps it, 1 replaces it), in the drawing's size."""
    fitted = given.convert("RGB").resize(drawn.size, Image.Resampling.LANCZOS)
    return Image.blend(fitted, drawn, min(1.0, max(0.0, strength)))


class Painter:
    """Makes a server's pictures and their files; a server that is to give out others is handed another painter."""

    def draw(self, brief: Brief, given: Image.Image | None = None, strength: float = 1.0) -> Image.Image:
        """Return the picture of the brief, or the given one redrawn to `strength` (0 keeps it, 1 replaces it)."""
        drawn = paint(brief)
        return drawn if given is None else blend(given, drawn, strength)

    def file(self, picture: Image.Image, form: str, **settings: Any) -> bytes:
        """Return the picture as a file of one of Pillow's formats, saved with that format's settings."""
        held = io.BytesIO()
        picture.save(held, form, **settings)
        return held.getvalue()

    def base64(self, picture: Image.Image, form: str, **settings: Any) -> str:
        """Return that file in base64."""
        return base64.b64encode(self.file(picture, form, **settings)).decode()


def _choose(prompt: str, choices: tuple[str, ...], chance: Random) -> str:
    words = re.findall(r"\w+", prompt.lower())
    hinted = [choice for word in words for choice in choices if choice in _HINTS.get(word, ())]
    return chance.choice(hinted or choices)


def _vignetted(picture: Image.Image) -> Image.Image:
    shade = Image.radial_gradient("L").point([255 - max(0, v - 110) // 2 for v in range(256)])
    mask = shade.resize(picture.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(picture, Image.merge("RGB", (mask, mask, mask)))


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _captioned(picture: Image.Image, prompt: str) -> Image.Image:
    if picture.height < _MIN_CAPTION_HEIGHT:
        return picture
    size = max(9, round(min(picture.size) / 34))
    margin = max(3, size // 2)
    room = picture.width - 2 * margin
    lines = _wrapped(" ".join(prompt.split()), _font(size), room, 2 if picture.height > 12 * size else 1)
    line_height = round(size * 1.3)
    band = margin * 2 + line_height * (len(lines) + 1)
    fade = Image.linear_gradient("L").point([min(190, v * 2) for v in range(256)])
    picture.paste((8, 10, 18), (0, picture.height - band), fade.resize((picture.width, band)))
    draw = ImageDraw.Draw(picture)
    top = picture.height - margin - line_height * len(lines)
    for index, line in enumerate(lines):
        draw.text((margin, top + index * line_height), line, font=_font(size), fill=(238, 240, 246))
    # Smaller letters of this font run into each other at the spaces.
    mark = _font(max(10, round(size * 0.9)))
    draw.text((margin, top - round(line_height * 0.85)), MARK, font=mark, fill=(178, 186, 204))
    return picture


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int, most: int) -> list[str]:
    """Cut the text into at most `most` lines that fit the room in pixels; what is cut off becomes an ellipsis."""
    lines: list[str] = []
    rest = text[:400]
    while rest and len(lines) < most:
        fits = _fitting(rest, font, room)
        if fits < len(rest) and len(lines) < most - 1:
            space = rest.rfind(" ", 1, fits + 1)
            fits = space if space > 0 else fits
        elif fits < len(rest):
            rest = rest[: max(1, fits - 3)].rstrip() + "..."
            fits = len(rest)
        lines.append(rest[:fits])
        rest = rest[fits:].lstrip()
    return lines


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> int:
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    return low
