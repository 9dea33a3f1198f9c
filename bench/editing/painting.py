"""Paints scenes, with Pillow alone."""

from collections.abc import Callable, Mapping
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from bench.editing.backdrops import BACKDROPS, gradient
from bench.editing.scenes import COLOURS, Light, Scene, Shape, Thing

SIDE = 512
"""Width and height of a made picture in pixels."""

_SCALE = 2
_CANVAS = (SIDE * _SCALE, SIDE * _SCALE)
_HORIZON = round(_CANVAS[1] * 0.62)
_PROPORTIONS: Mapping[Shape, float] = {"ball": 1.0, "box": 0.95, "cone": 0.8, "tin": 0.6, "vase": 0.62}
_MARGIN = 5

Box = tuple[int, int, int, int]


def paint(scene: Scene) -> Image.Image:
    """Paint a scene in RGB, SIDE pixels wide and high."""
    picture = Image.new("RGB", _CANVAS)
    picture.paste(BACKDROPS[scene.backdrop]((_CANVAS[0], _HORIZON), Random(scene.grain)))
    table = gradient((_CANVAS[0], _CANVAS[1] - _HORIZON), (118, 82, 54), (164, 120, 82))
    picture.paste(table, (0, _HORIZON))
    if scene.word is not None:
        _hang_sign(picture, scene.word)
    for thing in scene.things:
        _cast_shadow(picture, thing, scene.light)
    for thing in scene.things:
        _stand(picture, thing, scene.light)
    return _lit(picture.reduce(_SCALE), scene.light)


def changed(before: Image.Image, after: Image.Image) -> Image.Image:
    """The mask of an edit: white where two pictures differ, and a few pixels around."""
    bands = ImageChops.difference(before, after).split()
    most = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    return most.point([0, *[255] * 255]).filter(ImageFilter.BoxBlur(_MARGIN)).point([0, *[255] * 255])


def boxed(mask: Image.Image) -> Image.Image:
    """A mask with all that lies between its white pixels."""
    filled = Image.new("L", mask.size)
    filled.paste(255, mask.getbbox())
    return filled


def _box(thing: Thing) -> Box:
    height = round(thing.height * _CANVAS[1])
    width = round(height * _PROPORTIONS[thing.shape])
    left, foot = round(thing.centre * _CANVAS[0]) - width // 2, round(thing.foot * _CANVAS[1])
    return left, foot - height, left + width, foot


def _stand(picture: Image.Image, thing: Thing, light: Light) -> None:
    box = _box(thing)
    outline = Image.new("L", _CANVAS)
    _OUTLINES[thing.shape](ImageDraw.Draw(outline), box)
    picture.paste(_shaded(thing, light), (box[0], box[1]), outline.crop(box))


def _shaded(thing: Thing, light: Light) -> Image.Image:
    """The colour of a thing, brighter towards the light, with a glint."""
    left, top, right, foot = _box(thing)
    size = (right - left, foot - top)
    base = COLOURS[thing.colour]
    near, far = (tuple(min(255, round(part * factor)) for part in base) for factor in (1.18, 0.42))
    first, last = (near, far) if light.side < 0 else (far, near)
    surface = gradient(size, (first[0], first[1], first[2]), (last[0], last[1], last[2]), across=True)
    glint = Image.new("L", size)
    x, y, radius = size[0] * (0.5 + 0.2 * light.side), size[1] * 0.3, size[0] * 0.09
    ImageDraw.Draw(glint).ellipse((x - radius, y - radius, x + radius, y + radius), fill=200)
    surface.paste((255, 255, 255), (0, 0), glint.filter(ImageFilter.GaussianBlur(radius / 2)))
    return surface


def _cast_shadow(picture: Image.Image, thing: Thing, light: Light) -> None:
    left, top, right, foot = _box(thing)
    shift, depth = -light.side * (right - left) // 4, (foot - top) // 9
    shade = Image.new("L", _CANVAS)
    ImageDraw.Draw(shade).ellipse((left + shift, foot - depth, right + shift, foot + depth), fill=150)
    picture.paste((34, 24, 20), (0, 0), shade.filter(ImageFilter.GaussianBlur(depth / 2)))


def _hang_sign(picture: Image.Image, word: str) -> None:
    draw = ImageDraw.Draw(picture)
    left, top, right, foot = (round(share * _CANVAS[0]) for share in (0.3, 0.07, 0.7, 0.22))
    draw.rounded_rectangle((left, top, right, foot), radius=18, fill=(244, 240, 228), outline=(70, 60, 52), width=8)
    font = ImageFont.load_default(_CANVAS[0] // 11)
    draw.text(((left + right) / 2, (top + foot) / 2), word, font=font, fill=(40, 36, 34), anchor="mm")


def _lit(picture: Image.Image, light: Light) -> Image.Image:
    tinted = ImageChops.multiply(picture, Image.new("RGB", picture.size, light.tint))
    return ImageEnhance.Brightness(tinted).enhance(light.brightness)


def _ball(draw: ImageDraw.ImageDraw, box: Box) -> None:
    draw.ellipse(box, fill=255)


def _cube(draw: ImageDraw.ImageDraw, box: Box) -> None:
    draw.rounded_rectangle(box, radius=(box[2] - box[0]) // 16, fill=255)


def _cone(draw: ImageDraw.ImageDraw, box: Box) -> None:
    left, top, right, foot = box
    bulge = (right - left) // 8
    draw.polygon([(left, foot - bulge), ((left + right) // 2, top), (right, foot - bulge)], fill=255)
    draw.ellipse((left, foot - 2 * bulge, right, foot), fill=255)


def _tin(draw: ImageDraw.ImageDraw, box: Box) -> None:
    left, top, right, foot = box
    bulge = (right - left) // 8
    draw.rectangle((left, top + bulge, right, foot - bulge), fill=255)
    draw.ellipse((left, top, right, top + 2 * bulge), fill=255)
    draw.ellipse((left, foot - 2 * bulge, right, foot), fill=255)


def _vase(draw: ImageDraw.ImageDraw, box: Box) -> None:
    left, top, right, foot = box
    width, height = right - left, foot - top
    draw.ellipse((left, top + height * 0.32, right, foot - height * 0.02), fill=255)
    draw.polygon(
        [
            (left + width * 0.26, top),
            (right - width * 0.26, top),
            (right - width * 0.36, top + height * 0.44),
            (left + width * 0.36, top + height * 0.44),
        ],
        fill=255,
    )
    draw.rectangle((left + width * 0.24, foot - height * 0.1, right - width * 0.24, foot), fill=255)


_OUTLINES: Mapping[Shape, Callable[[ImageDraw.ImageDraw, Box], None]] = {
    "ball": _ball,
    "box": _cube,
    "cone": _cone,
    "tin": _tin,
    "vase": _vase,
}
