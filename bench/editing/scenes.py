"""Makes cases with known answers: scenes of things on a table, painted before and after an edit."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from bench.editing.cases import Case, write_cases

SIDE = 512
"""Width and height of a scene in pixels."""

Colour = tuple[int, int, int]

_COLOURS: Mapping[str, Colour] = {
    "red": (200, 48, 44),
    "yellow": (228, 190, 48),
    "green": (56, 142, 72),
    "blue": (44, 92, 190),
    "purple": (122, 62, 160),
}
_BACKDROPS: Mapping[str, tuple[Colour, Colour]] = {
    "a plain wall": ((212, 204, 190), (170, 163, 152)),
    "a clear sky": ((74, 138, 206), (206, 226, 240)),
    "a sunset": ((72, 54, 112), (248, 170, 96)),
    "a night sky": ((10, 12, 34), (38, 50, 98)),
}
"""Colours at the top and at the bottom."""
_TABLE: tuple[Colour, Colour] = ((118, 82, 54), (164, 120, 82))
_HORIZON = 320
_SHAPES = ("ball", "box", "cone")
_WORDS = ("OPEN", "SALE", "CAFE", "BOOKS", "TEA", "EXIT", "MUSIC", "BREAD")
_MASK_MARGIN = 5


@dataclass(frozen=True, slots=True)
class _Scene:
    """Two things on a table; the edits concern the first one, whose place and size are in pixels."""

    shape: str | None
    colour: str
    left: int
    height: int
    other: str
    backdrop: str
    brightness: float = 1.0
    word: str | None = None

    def __str__(self) -> str:
        thing = f"a {self.colour} {self.shape} and " if self.shape else ""
        sign = f', a sign with the word "{self.word}" above' if self.word else ""
        light = {1.0: "even", 1.35: "very bright", 0.55: "dim"}[self.brightness]
        return f"{thing}a white {self.other} on a table in front of {self.backdrop}{sign}, in {light} light"


def make_cases(folder: Path, count: int, seed: int) -> Iterator[Case]:
    """Make cases, all kinds of edits in turn, and yield each once its files exist; cases.json comes last.

    The same count and seed give the same files with the same version of Pillow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        before, instructions, after = _edit(kind, Random(f"{seed} {number}"))
        given, expected = _paint(before), _paint(after)
        pictures = {"input": given, "mask": changed(given, expected), "reference": expected}
        name = f"{number:03d}-{kind}"
        (folder / name).mkdir(exist_ok=True)
        for role, picture in pictures.items():
            picture.save(folder / name / f"{role}.png")
        files = {role: f"{name}/{role}.png" for role in pictures}
        prompt = (
            f"{after}{', very bright' if after.brightness > 1 else ', in dim light' if after.brightness < 1 else ''}"
        )
        cases.append(Case(id=name, kind=kind, instructions=instructions, prompt=prompt, **files))
        yield cases[-1]
    write_cases(folder, cases)


def changed(before: Image.Image, after: Image.Image) -> Image.Image:
    """The mask of an edit: a white box around all pixels that differ, a few pixels wider."""
    mask = Image.new("L", before.size)
    if box := ImageChops.difference(before, after).getbbox():
        mask.paste(255, (box[0] - _MASK_MARGIN, box[1] - _MASK_MARGIN, box[2] + _MASK_MARGIN, box[3] + _MASK_MARGIN))
    return mask


KINDS = ("recolour", "background", "light", "removal", "text", "replacement")


def _edit(kind: str, chance: Random) -> tuple[_Scene, str, _Scene]:
    """A scene as it is given, what to change, and the scene as it should be afterwards."""
    (shape, other), (colour, new_colour) = chance.sample(_SHAPES, 2), chance.sample(sorted(_COLOURS), 2)
    backdrop, new_backdrop = chance.sample(sorted(_BACKDROPS), 2)
    scene = _Scene(shape, colour, chance.randint(40, 130), chance.randint(100, 145), other, backdrop)
    word, new_word = chance.sample(_WORDS, 2)
    signed = replace(scene, word=word)
    light, brightness = chance.choice([("brighter", 1.35), ("darker", 0.55)])
    new_shape = chance.choice([one for one in _SHAPES if one != shape])
    edits: dict[str, tuple[_Scene, str, dict[str, Any]]] = {
        "recolour": (scene, f"Make the {colour} {shape} {new_colour}.", {"colour": new_colour}),
        "background": (scene, f"Replace the background with {new_backdrop}.", {"backdrop": new_backdrop}),
        "light": (scene, f"Make the whole picture clearly {light}; change nothing else.", {"brightness": brightness}),
        "removal": (scene, f"Remove the {colour} {shape} and its shadow.", {"shape": None}),
        "text": (signed, f'Change the word on the sign from "{word}" to "{new_word}".', {"word": new_word}),
        "replacement": (
            scene,
            f"Replace the {colour} {shape} with a {colour} {new_shape} of the same height.",
            {"shape": new_shape},
        ),
    }
    before, instructions, changes = edits[kind]
    return before, instructions, replace(before, **changes)


def _paint(scene: _Scene) -> Image.Image:
    picture = _gradient((SIDE, SIDE), _BACKDROPS[scene.backdrop])
    picture.paste(_gradient((SIDE, SIDE - _HORIZON), _TABLE), (0, _HORIZON))
    draw = ImageDraw.Draw(picture)
    if scene.word is not None:
        draw.rounded_rectangle((150, 36, 362, 112), radius=9, fill=(244, 240, 228), outline=(70, 60, 52), width=4)
        draw.text((256, 74), scene.word, font=ImageFont.load_default(46), fill=(40, 36, 34), anchor="mm")
    if scene.shape is not None:
        _stand(picture, scene.shape, _COLOURS[scene.colour], scene.left, scene.height)
    _stand(picture, scene.other, (236, 234, 226), 330, 120)
    return ImageEnhance.Brightness(picture).enhance(scene.brightness)


def _stand(picture: Image.Image, shape: str, colour: Colour, left: int, height: int) -> None:
    """Paint a thing that fills a square, and its shadow."""
    right, foot, depth = left + height, 400, height // 9
    shade, outline = Image.new("L", picture.size), Image.new("L", picture.size)
    ImageDraw.Draw(shade).ellipse((left + 2 * depth, foot - depth, right + 2 * depth, foot + depth), fill=150)
    picture.paste((34, 24, 20), (0, 0), shade.filter(ImageFilter.GaussianBlur(depth / 2)))
    draw, box = ImageDraw.Draw(outline), (left, foot - height, right, foot)
    draw_outline: Callable[..., None] = {
        "ball": draw.ellipse,
        "box": draw.rectangle,
        "cone": lambda _, fill: draw.polygon([(left, foot), (left + height // 2, foot - height), (right, foot)], fill),
    }[shape]
    draw_outline(box, fill=255)
    dark = (colour[0] // 2, colour[1] // 2, colour[2] // 2)
    picture.paste(_gradient((height, height), (colour, dark)), box[:2], outline.crop(box))


def _gradient(size: tuple[int, int], colours: tuple[Colour, Colour]) -> Image.Image:
    """A smooth change of colour from the top down."""
    ramp = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, colours[1]), Image.new("RGB", size, colours[0]), ramp)
