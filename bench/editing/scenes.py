"""Makes cases with known answers: an object on a table, painted before and after an edit."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from bench.editing.cases import FILE, Case, CaseFolder

SIDE = 512
"""Width and height of a scene in pixels."""
KINDS = ("recolour", "background", "light", "removal", "text", "replacement")

Colour = tuple[int, int, int]
Scene = Mapping[str, Any]
"""Keyword arguments of ``paint``."""

_COLOURS: Mapping[str, Colour] = {
    "red": (200, 48, 44),
    "yellow": (228, 190, 48),
    "green": (56, 142, 72),
    "blue": (44, 92, 190),
    "purple": (122, 62, 160),
    "white": (236, 234, 226),
}
_BACKDROPS: Mapping[str, tuple[Colour, Colour]] = {
    "a plain wall": ((212, 204, 190), (170, 163, 152)),
    "a clear sky": ((74, 138, 206), (206, 226, 240)),
    "a sunset": ((72, 54, 112), (248, 170, 96)),
    "a night sky": ((10, 12, 34), (38, 50, 98)),
}
"""Colours at the top and at the bottom."""
_TABLE: tuple[Colour, Colour] = ((118, 82, 54), (164, 120, 82))
_HORIZON, _FOOT = 320, 400
_SHAPES: Mapping[str, Callable[[ImageDraw.ImageDraw, tuple[int, int, int, int]], None]] = {
    "ball": lambda draw, box: draw.ellipse(box, fill=255),
    "box": lambda draw, box: draw.rectangle(box, fill=255),
    "cone": lambda draw, box: draw.polygon([box[0], box[3], (box[0] + box[2]) // 2, box[1], box[2], box[3]], fill=255),
}
_WORDS = ("OPEN", "SALE", "CAFE", "BOOKS", "TEA", "EXIT", "MUSIC", "BREAD")
_MASK_MARGIN = 5


def make_cases(folder: Path, count: int, seed: int) -> Iterator[Case]:
    """Make cases of all kinds in turn, and yield each once its files exist; write cases.json at the end.

    With the same version of Pillow, the same count and seed make the same files.
    """
    cases = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        name = f"{number:03d}-{kind}"
        before, instructions, changes = _edit(kind, Random(f"{seed} {number}"))
        after = {**before, **changes}
        given, expected = paint(**before), paint(**after)
        pictures = {"input": given, "mask": _changed(given, expected), "reference": expected}
        (folder / name).mkdir(parents=True, exist_ok=True)
        for role, picture in pictures.items():
            picture.save(folder / name / f"{role}.png")
        files = {role: f"{name}/{role}.png" for role in pictures}
        cases.append(Case(id=name, kind=kind, instructions=instructions, prompt=_described(**after), **files))
        yield cases[-1]
    text = CaseFolder(cases=cases).model_dump_json(indent=2, exclude_defaults=True)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def _changed(before: Image.Image, after: Image.Image) -> Image.Image:
    """The mask of an edit: a white box around all pixels that differ, with a margin."""
    mask = Image.new("L", before.size)
    if box := ImageChops.difference(before, after).getbbox():
        mask.paste(255, (box[0] - _MASK_MARGIN, box[1] - _MASK_MARGIN, box[2] + _MASK_MARGIN, box[3] + _MASK_MARGIN))
    return mask


def _edit(kind: str, chance: Random) -> tuple[Scene, str, Scene]:
    """A scene, the instruction to edit it, and the changed values."""
    (colour, new_colour), (shape, new_shape) = chance.sample(sorted(_COLOURS), 2), chance.sample(sorted(_SHAPES), 2)
    (backdrop, new_backdrop), (word, new_word) = chance.sample(sorted(_BACKDROPS), 2), chance.sample(_WORDS, 2)
    light, brightness = chance.choice([("brighter", 1.35), ("darker", 0.55)])
    scene: dict[str, Any] = {"shape": shape, "colour": colour, "backdrop": backdrop, "word": word}
    scene |= {"left": chance.randint(40, 330), "height": chance.randint(100, 145)}
    thing = f"{colour} {shape}"
    edits: dict[str, tuple[str, Scene]] = {
        "recolour": (f"Make the {thing} {new_colour}.", {"colour": new_colour}),
        "background": (f"Replace the background with {new_backdrop}.", {"backdrop": new_backdrop}),
        "light": (f"Make the whole picture clearly {light}; change nothing else.", {"brightness": brightness}),
        "removal": (f"Remove the {thing} and its shadow.", {"shape": None}),
        "text": (f'Change the word on the sign from "{word}" to "{new_word}".', {"word": new_word}),
        "replacement": (f"Replace the {thing} with a {colour} {new_shape} of the same height.", {"shape": new_shape}),
    }
    return scene, *edits[kind]


def _described(*, shape: str | None, colour: str, backdrop: str, word: str, brightness: float = 1.0, **_: int) -> str:
    light = "even" if brightness == 1 else "very bright" if brightness > 1 else "dim"
    thing = f"a {colour} {shape} on a table" if shape else "an empty table"
    return f'{thing} in front of {backdrop}, a sign with the word "{word}" above, in {light} light'


def paint(
    *, shape: str | None, colour: str, backdrop: str, word: str, left: int, height: int, brightness: float = 1.0
) -> Image.Image:
    """Paint a scene in RGB, SIDE pixels wide and high; ``left`` and ``height`` are those of the object."""
    picture = _gradient((SIDE, SIDE), _BACKDROPS[backdrop])
    picture.paste(_gradient((SIDE, SIDE - _HORIZON), _TABLE), (0, _HORIZON))
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((150, 36, 362, 112), radius=9, fill=(244, 240, 228), outline=(70, 60, 52), width=4)
    draw.text((256, 74), word, font=ImageFont.load_default(46), fill=(40, 36, 34), anchor="mm")
    if shape is not None:
        shade, outline, depth = Image.new("L", picture.size), Image.new("L", picture.size), height // 9
        box = (left, _FOOT - height, left + height, _FOOT)
        ImageDraw.Draw(shade).ellipse((left + 2 * depth, _FOOT - depth, box[2] + 2 * depth, _FOOT + depth), fill=150)
        picture.paste((34, 24, 20), (0, 0), shade.filter(ImageFilter.GaussianBlur(depth / 2)))
        _SHAPES[shape](ImageDraw.Draw(outline), box)
        red, green, blue = _COLOURS[colour]
        surface = _gradient((height, height), ((red, green, blue), (red // 2, green // 2, blue // 2)))
        picture.paste(surface, box[:2], outline.crop(box))
    return ImageEnhance.Brightness(picture).enhance(brightness)


def _gradient(size: tuple[int, int], colours: tuple[Colour, Colour]) -> Image.Image:
    """A vertical gradient."""
    ramp = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, colours[1]), Image.new("RGB", size, colours[0]), ramp)
