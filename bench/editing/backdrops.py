"""Backgrounds of made pictures."""

from collections.abc import Callable, Mapping
from random import Random

from PIL import Image, ImageDraw, ImageFilter

from bench.editing.scenes import Colour

Painter = Callable[[tuple[int, int], Random], Image.Image]


def gradient(size: tuple[int, int], first: Colour, last: Colour, *, across: bool = False) -> Image.Image:
    """A smooth change of colour, from the top down or from left to right."""
    ramp = Image.linear_gradient("L")
    ramp = (ramp.transpose(Image.Transpose.ROTATE_90) if across else ramp).resize(size)
    return Image.composite(Image.new("RGB", size, last), Image.new("RGB", size, first), ramp)


def _wall(size: tuple[int, int], chance: Random) -> Image.Image:
    tone = chance.choice([(212, 204, 190), (186, 204, 208), (214, 196, 196), (196, 208, 188)])
    return gradient(size, tone, _dimmed(tone, 0.8))


def _stripes(size: tuple[int, int], chance: Random) -> Image.Image:
    picture = gradient(size, (224, 216, 202), (198, 188, 172))
    draw = ImageDraw.Draw(picture)
    step = size[0] // chance.randint(10, 16)
    for left in range(0, size[0], step):
        draw.rectangle((left, 0, left + step // 2, size[1]), fill=(168, 186, 196))
    return picture


def _bricks(size: tuple[int, int], chance: Random) -> Image.Image:
    picture = Image.new("RGB", size, (176, 166, 156))
    draw = ImageDraw.Draw(picture)
    high = size[1] // 11
    wide = high * 2
    for row, top in enumerate(range(0, size[1], high)):
        for left in range(-wide // 2 * (row % 2), size[0], wide):
            tone = _dimmed((170, 84, 62), chance.uniform(0.82, 1.12))
            draw.rectangle((left + 3, top + 3, left + wide - 4, top + high - 4), fill=tone)
    return picture


def _cloudy(size: tuple[int, int], chance: Random) -> Image.Image:
    picture = gradient(size, (74, 138, 206), (206, 226, 240))
    clouds = Image.new("L", size)
    draw = ImageDraw.Draw(clouds)
    for _ in range(7):
        x, y, wide = chance.randrange(size[0]), chance.randrange(size[1] // 2), size[0] // chance.randint(5, 9)
        for puff in range(5):
            left, top = x + puff * wide // 4, y - chance.randrange(wide // 4)
            draw.ellipse((left, top, left + wide // 2, top + wide // 2), fill=chance.randint(150, 235))
    soft = clouds.filter(ImageFilter.GaussianBlur(size[0] / 110))
    picture.paste((250, 250, 252), (0, 0), soft)
    return picture


def _sunset(size: tuple[int, int], chance: Random) -> Image.Image:
    picture = gradient(size, (72, 54, 112), (248, 170, 96))
    draw = ImageDraw.Draw(picture)
    x, radius = chance.randint(size[0] // 5, size[0] * 4 // 5), size[0] // 14
    draw.ellipse((x - radius, size[1] * 0.5, x + radius, size[1] * 0.5 + 2 * radius), fill=(255, 226, 160))
    for layer, tone in enumerate([(124, 74, 104), (82, 52, 84), (50, 36, 62)]):
        _hills(draw, size, 0.62 + 0.12 * layer, tone, chance)
    return picture


def _night(size: tuple[int, int], chance: Random) -> Image.Image:
    picture = gradient(size, (10, 12, 34), (38, 50, 98))
    draw = ImageDraw.Draw(picture)
    for _ in range(170):
        x, y, radius = chance.randrange(size[0]), chance.randrange(size[1]), chance.choice([1, 1, 1, 2, 3])
        draw.ellipse((x, y, x + radius, y + radius), fill=(240, 240, 255))
    x, y, radius = chance.randint(size[0] // 6, size[0] * 5 // 6), size[1] // 4, size[0] // 16
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(244, 240, 214))
    return picture


def _forest(size: tuple[int, int], chance: Random) -> Image.Image:
    picture = gradient(size, (206, 222, 206), (112, 148, 108))
    draw = ImageDraw.Draw(picture)
    for layer, tone in enumerate([(128, 162, 126), (78, 120, 84), (40, 78, 52)]):
        for left in range(-size[0] // 10, size[0], size[0] // 14):
            x, top = left + chance.randrange(size[0] // 12), size[1] * (0.18 + 0.2 * layer) * chance.uniform(0.7, 1.2)
            half = size[0] // 18
            draw.polygon([(x - half, size[1]), (x, top), (x + half, size[1])], fill=tone)
    return picture


def _hills(draw: ImageDraw.ImageDraw, size: tuple[int, int], level: float, tone: Colour, chance: Random) -> None:
    heights = [size[1] * (level + chance.uniform(-0.09, 0.09)) for _ in range(7)]
    ridge = [(size[0] * index / 6, height) for index, height in enumerate(heights)]
    draw.polygon([(0, size[1]), *ridge, (size[0], size[1])], fill=tone)


def _dimmed(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(part * factor)) for part in colour)
    return red, green, blue


BACKDROPS: Mapping[str, Painter] = {
    "a plain wall": _wall,
    "striped wallpaper": _stripes,
    "a brick wall": _bricks,
    "a cloudy sky": _cloudy,
    "a sunset over hills": _sunset,
    "a starry night sky": _night,
    "a green forest": _forest,
}
"""Painters of backgrounds, by what a sentence calls them."""
