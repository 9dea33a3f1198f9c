"""Paints a landscape for a prompt, a seed and a checkpoint; the same request gives the same bytes."""

import base64
import hashlib
import io
import math
import re
import textwrap
from dataclasses import astuple, dataclass
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont
from pydantic import TypeAdapter

MARK = "stand-in, no model"

Colour = tuple[int, int, int]

_SUPERSAMPLED_PIXELS = 800 * 800
_MIN_CAPTION_HEIGHT = 48
_LAYERS = 5
_MAX_CAPTION = 400
_WHITE = (255, 255, 255)
_ON_WHITE = "plain white background"
"""Words of a prompt that is for an icon."""


@dataclass(frozen=True)
class _Palette:
    """The colours of a mood, and the words that select it."""

    words: str
    sky: tuple[Colour, Colour, Colour]
    light: Colour
    far: Colour
    near: Colour
    night: bool = False


_PALETTES = TypeAdapter(list[_Palette]).validate_json(Path(__file__).with_name("palettes.json").read_bytes())


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What to draw; width and height in pixels."""

    prompt: str
    negative: str = ""
    seed: int = 0
    width: int = 512
    height: int = 512
    checkpoint: str = ""


class Painter:
    """Makes a server's pictures and files; a bench replaces it with its own painter."""

    def draw(self, brief: Brief, given: Image.Image | None = None, strength: float = 1.0) -> Image.Image:
        """Return the picture of a brief, or the given picture redrawn by `strength` (0 keeps it, 1 replaces it)."""
        drawn = paint(brief)
        return drawn if given is None else blend(given, drawn, strength)

    def file(self, picture: Image.Image, form: str, **settings: Any) -> bytes:
        """Return the picture as a file in one of Pillow's formats, with that format's settings."""
        held = io.BytesIO()
        picture.save(held, form, **settings)
        return held.getvalue()

    def base64(self, picture: Image.Image, form: str, **settings: Any) -> str:
        """Return the same file in base64."""
        return base64.b64encode(self.file(picture, form, **settings)).decode()


def paint(brief: Brief) -> Image.Image:
    """Return the picture of a brief in RGB, with the prompt at the bottom and the stand-in's mark.

    A prompt for an icon gives one: a shape on white, without words.
    """
    digest = hashlib.sha256("\x1f".join(map(str, astuple(brief))).encode("utf-8", "surrogatepass")).digest()
    chance = Random(digest)  # noqa: S311 - it decides about scenery, not about secrets
    words = set(re.findall(r"\w+", brief.prompt.lower()))
    palette = chance.choice([one for one in _PALETTES if words & set(one.words.split())] or _PALETTES)
    scale = 2 if brief.width * brief.height <= _SUPERSAMPLED_PIXELS else 1
    if _ON_WHITE in brief.prompt.lower():
        return _emblem((brief.width * scale, brief.height * scale), palette, chance).reduce(scale)
    picture = _landscape((brief.width * scale, brief.height * scale), palette, chance).reduce(scale)
    shade = Image.radial_gradient("L").point([255 - max(0, value - 110) // 2 for value in range(256)])
    mask = shade.resize(picture.size)
    return _captioned(ImageChops.multiply(picture, Image.merge("RGB", (mask, mask, mask))), brief.prompt)


def unfinished(picture: Image.Image, share: float) -> Image.Image:
    """Return the picture as it looks after `share` (0 to 1) of its steps."""
    return picture.filter(ImageFilter.GaussianBlur((1 - share) * min(picture.size) / 8))


def blend(given: Image.Image, drawn: Image.Image, strength: float) -> Image.Image:
    """Return the given picture redrawn to `strength` (0 keeps it, 1 replaces it), in the drawing's size."""
    fitted = given.convert("RGB").resize(drawn.size, Image.Resampling.LANCZOS)
    return Image.blend(fitted, drawn, min(1.0, max(0.0, strength)))


def _emblem(size: tuple[int, int], palette: _Palette, chance: Random) -> Image.Image:
    """A rosette of petals around a disc, on white."""
    picture = Image.new("RGB", size, _WHITE)
    draw, (x, y), radius = ImageDraw.Draw(picture), (size[0] / 2, size[1] / 2), min(size) * 0.36
    petals, depth = chance.randint(3, 12), chance.uniform(0.12, 0.4)
    steps = [math.tau * step / 360 for step in range(360)]
    outline = [(angle, radius * (1 - depth * (0.5 - 0.5 * math.cos(petals * angle)))) for angle in steps]
    points = [(x + reach * math.sin(angle), y - reach * math.cos(angle)) for angle, reach in outline]
    draw.polygon(points, fill=chance.choice([palette.near, palette.far]))
    draw.circle((x, y), radius * chance.uniform(0.2, 0.5), fill=palette.light)
    return picture


def _landscape(size: tuple[int, int], palette: _Palette, chance: Random) -> Image.Image:
    """A sky with a sun or moon, and ranges of hills in front; nearer ones are darker."""
    width, height = size
    horizon = max(1, round(height * chance.uniform(0.46, 0.64)))
    column = Image.new("RGB", (1, len(palette.sky)))
    column.putdata(palette.sky)
    picture = Image.new("RGB", size, palette.sky[-1])
    picture.paste(column.resize((width, horizon), Image.Resampling.BICUBIC))
    draw = ImageDraw.Draw(picture)
    _put_light(picture, draw, palette, horizon, chance)
    for layer in range(_LAYERS):
        share = layer / (_LAYERS - 1)
        level = horizon + (height - horizon) * 0.8 * share**1.4
        ridge = _ridge(width, level, height * (0.12 - 0.07 * share), chance)
        draw.polygon([*ridge, (width, height), (0, height)], fill=_mix(palette.far, palette.near, share))
        mist = Image.linear_gradient("L").point([round(value * 0.42 * (1 - share)) for value in range(256)])
        picture.paste(palette.sky[2], (0, round(level)), mist.resize((width, max(2, height // 6))))
    return picture


def _put_light(
    picture: Image.Image, draw: ImageDraw.ImageDraw, palette: _Palette, horizon: int, chance: Random
) -> None:
    """The sun or the moon in its glow, with stars at night."""
    size, x, y = min(picture.size), picture.width * chance.uniform(0.16, 0.84), horizon * chance.uniform(0.25, 0.7)
    for _ in range(140 if palette.night else 0):
        left, top, wide = chance.random() * picture.width, chance.random() * y * 2, chance.uniform(0.6, 2) * size / 700
        draw.ellipse((left, top, left + wide, top + wide), fill=palette.light)
    radius = size * chance.uniform(0.045, 0.11)
    glow = Image.radial_gradient("L").point([round(max(0, 255 - value * 1.42) ** 2 / 340) for value in range(256)])
    reach = max(2, round(radius * 14))
    picture.paste(palette.light, (round(x - reach / 2), round(y - reach / 2)), glow.resize((reach, reach)))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_mix(palette.light, _WHITE, 0.35))


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    """The colour at `share` (0 to 1) between two others."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _ridge(width: int, level: float, swing: float, chance: Random) -> list[tuple[float, float]]:
    """The outline of a range of hills around a height."""
    step, uniform = max(2, width // 96), chance.uniform
    waves = [(uniform(0.6, 1.6) * k, uniform(0, math.tau), uniform(0.3, 0.6) / k) for k in (1, 2, 4, 9)]
    return [
        (x, level - swing * sum(high * math.sin(math.tau * often * x / width + phase) for often, phase, high in waves))
        for x in range(0, width + step, step)
    ]


def _captioned(picture: Image.Image, prompt: str) -> Image.Image:
    """Write the prompt at the bottom in one or two lines; an ellipsis marks a cut."""
    if picture.height < _MIN_CAPTION_HEIGHT:
        return picture
    size = max(9, round(min(picture.size) / 34))
    font, margin = ImageFont.load_default(size), max(3, size // 2)
    letters = max(1, int((picture.width - 2 * margin) / font.getlength("a")))
    text = "\n".join([MARK, *textwrap.wrap(prompt[:_MAX_CAPTION], letters, max_lines=2, placeholder="…")])
    draw = ImageDraw.Draw(picture)
    top = picture.height - margin - draw.multiline_textbbox((0, 0), text, font=font)[3]
    fade = Image.linear_gradient("L").point([min(190, value * 2) for value in range(256)])
    band = max(1, round(picture.height - top + margin))
    picture.paste((8, 10, 18), (0, picture.height - band), fade.resize((picture.width, band)))
    draw.multiline_text((margin, top), text, font=font, fill=(238, 240, 246))
    return picture
