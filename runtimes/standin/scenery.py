"""Landscapes made of gradients and outlines: the pictures that stand in for a model's."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours of one mood: the sky from top to horizon, the light in it, the land from far to near."""

    sky: tuple[Colour, Colour, Colour]
    light: Colour
    far: Colour
    near: Colour
    night: bool = False


PALETTES = {
    "dawn": Palette(
        sky=((72, 92, 152), (232, 152, 148), (255, 221, 176)),
        light=(255, 244, 214),
        far=(196, 144, 158),
        near=(48, 40, 74),
    ),
    "noon": Palette(
        sky=((52, 124, 196), (132, 190, 228), (230, 243, 246)),
        light=(255, 252, 232),
        far=(142, 182, 190),
        near=(30, 82, 72),
    ),
    "sunset": Palette(
        sky=((46, 32, 84), (206, 78, 92), (255, 184, 94)), light=(255, 230, 156), far=(176, 84, 100), near=(32, 18, 44)
    ),
    "night": Palette(
        sky=((8, 12, 34), (24, 38, 84), (72, 92, 144)),
        light=(236, 240, 255),
        far=(52, 70, 116),
        near=(6, 10, 24),
        night=True,
    ),
    "aurora": Palette(
        sky=((6, 14, 40), (18, 78, 92), (104, 196, 158)),
        light=(212, 255, 232),
        far=(30, 86, 98),
        near=(4, 16, 28),
        night=True,
    ),
    "autumn": Palette(
        sky=((116, 142, 168), (222, 198, 162), (250, 228, 190)),
        light=(255, 240, 204),
        far=(206, 140, 88),
        near=(82, 34, 24),
    ),
    "lavender": Palette(
        sky=((112, 108, 186), (196, 160, 212), (252, 220, 226)),
        light=(255, 246, 240),
        far=(164, 130, 190),
        near=(58, 34, 92),
    ),
    "meadow": Palette(
        sky=((84, 158, 204), (170, 214, 222), (246, 246, 222)),
        light=(255, 250, 214),
        far=(150, 194, 158),
        near=(26, 84, 52),
    ),
    "desert": Palette(
        sky=((96, 144, 190), (232, 196, 150), (255, 228, 180)),
        light=(255, 246, 220),
        far=(222, 168, 116),
        near=(126, 62, 38),
    ),
    "neon": Palette(
        sky=((14, 8, 44), (92, 22, 112), (246, 84, 148)),
        light=(255, 196, 232),
        far=(96, 40, 128),
        near=(10, 6, 30),
        night=True,
    ),
}


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return the colour that lies `share` (0 to 1) of the way from one to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A picture being drawn: its palette, its horizon (a row), where its light stands (a column), all chance in it."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    palette: Palette
    chance: Random
    horizon: int
    light_x: float

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.image.height

    def glow(self, centre: tuple[float, float], radius: float, colour: Colour, strength: float) -> None:
        """Light up a round area; strength from 0 to 1 at its centre, fading to nothing at the radius."""
        reach = max(2, round(radius * 2))
        fade = Image.radial_gradient("L").point(
            [round(max(0, 255 - v * 1.42) ** 2 / 255 * strength) for v in range(256)]
        )
        corner = (round(centre[0] - radius), round(centre[1] - radius))
        self.image.paste(colour, corner, fade.resize((reach, reach), Image.Resampling.BILINEAR))

    def ridge(self, level: float, roughness: float) -> list[tuple[float, float]]:
        """Return the outline of a range of hills: rows around `level`, swinging by `roughness` rows."""
        waves = [
            (self.chance.uniform(0.6, 1.6) * k, self.chance.uniform(0, math.tau), self.chance.uniform(0.5, 1) / k)
            for k in (1, 2, 4, 9)
        ]
        step = max(2, self.width // 96)
        return [
            (x, level - roughness * sum(a * math.sin(math.tau * f * x / self.width + p) for f, p, a in waves) * 0.6)
            for x in range(0, self.width + step, step)
        ]

    def ground(self, outline: list[tuple[float, float]], colour: Colour) -> None:
        """Fill everything under the outline."""
        self.draw.polygon([*outline, (self.width, self.height), (0, self.height)], fill=colour)


def paint_sky(canvas: Canvas) -> None:
    """Draw the sky with its sun or moon, and stars at night."""
    palette, chance = canvas.palette, canvas.chance
    column = Image.new("RGB", (1, 64))
    for row in range(64):
        share = row / 63 * 2
        column.putpixel(
            (0, row),
            mix(palette.sky[0], palette.sky[1], share) if share < 1 else mix(palette.sky[1], palette.sky[2], share - 1),
        )
    sky = column.resize((canvas.width, max(1, canvas.horizon)), Image.Resampling.BILINEAR)
    canvas.image.paste(palette.sky[2], (0, 0, canvas.width, canvas.height))
    canvas.image.paste(sky, (0, 0))
    size = min(canvas.width, canvas.height)
    if palette.night:
        for _ in range(140):
            x, y = chance.random() * canvas.width, chance.random() ** 1.6 * canvas.horizon
            r = chance.uniform(0.4, 1.5) * size / 700
            canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=mix(palette.sky[1], palette.light, chance.random()))
    radius = size * chance.uniform(0.045, 0.11)
    x = canvas.light_x
    y = canvas.horizon * (chance.uniform(0.2, 0.5) if palette.night else chance.uniform(0.3, 0.9))
    canvas.glow((x, y), radius * 7, palette.light, 0.75)
    canvas.draw.ellipse(
        (x - radius, y - radius, x + radius, y + radius), fill=mix(palette.light, (255, 255, 255), 0.35)
    )
    paint_clouds(canvas)


def paint_clouds(canvas: Canvas) -> None:
    """Draw soft bands of cloud."""
    chance = canvas.chance
    small = (max(8, canvas.width // 8), max(8, canvas.horizon // 8))
    mask = Image.new("L", small)
    draw = ImageDraw.Draw(mask)
    for _ in range(chance.randint(3, 8)):
        x, y = chance.random() * small[0], chance.uniform(0.1, 0.85) * small[1]
        for _ in range(7):
            w, h = chance.uniform(0.06, 0.22) * small[0], chance.uniform(0.01, 0.045) * small[1]
            left, top = x + chance.uniform(-1.6, 1.6) * w, y + chance.uniform(-1.4, 1.4) * h
            draw.ellipse((left - w, top - h, left + w, top + h), fill=chance.randint(50, 130))
    mask = mask.filter(ImageFilter.GaussianBlur(max(1.0, small[1] / 42)))
    tint = mix(canvas.palette.sky[2], canvas.palette.light, 0.5)
    canvas.image.paste(tint, (0, 0), mask.resize((canvas.width, canvas.horizon), Image.Resampling.BILINEAR))


def paint_haze(canvas: Canvas, level: float, thickness: float, strength: float) -> None:
    """Lay mist over the rows around `level`, thickest at its foot."""
    rows = max(2, round(thickness))
    fade = Image.linear_gradient("L").point([round(v * strength) for v in range(256)])
    canvas.image.paste(canvas.palette.sky[2], (0, round(level)), fade.resize((canvas.width, rows)))


def paint_hills(canvas: Canvas) -> None:
    """Ranges of hills, one behind the other, with mist between them."""
    layers = canvas.chance.randint(4, 6)
    depth = canvas.height - canvas.horizon
    for index in range(layers):
        share = index / (layers - 1)
        level = canvas.horizon + depth * (share**1.4) * 0.78
        roughness = canvas.height * (0.13 - 0.07 * share)
        canvas.ground(canvas.ridge(level, roughness), mix(canvas.palette.far, canvas.palette.near, share))
        if share < 1:
            paint_haze(canvas, level, depth * 0.36, 0.42 * (1 - share))


def paint_sea(canvas: Canvas) -> None:
    """Open water under the sky with a coast far off and light on the waves."""
    palette, chance = canvas.palette, canvas.chance
    canvas.ground(canvas.ridge(canvas.horizon, canvas.height * 0.05), palette.far)
    rows = canvas.height - canvas.horizon
    water = Image.new("RGB", (1, 2))
    water.putpixel((0, 0), mix(palette.sky[2], palette.sky[1], 0.45))
    water.putpixel((0, 1), mix(palette.sky[0], palette.near, 0.55))
    canvas.image.paste(water.resize((canvas.width, rows), Image.Resampling.BILINEAR), (0, canvas.horizon))
    middle = canvas.light_x
    for _ in range(420):
        share = chance.random() ** 1.7
        y = canvas.horizon + rows * share
        spread = canvas.width * (0.08 + 0.6 * share)
        x = chance.gauss(middle, spread)
        half = canvas.width * (0.006 + 0.05 * share) * chance.uniform(0.4, 1.3)
        nearness = max(0.0, 1 - abs(x - middle) / (spread + 1))
        glint = mix(mix(palette.sky[1], palette.near, 0.25 + 0.4 * share), palette.light, 0.12 + 0.75 * nearness**2)
        thick = max(1, round(canvas.height * (0.001 + 0.004 * share)))
        canvas.draw.line((x - half, y, x + half, y), fill=glint, width=thick)


def paint_city(canvas: Canvas) -> None:
    """Rows of towers with lit windows."""
    palette, chance = canvas.palette, canvas.chance
    min_pane = 2.0
    for index in range(3):
        share = index / 2
        colour = mix(palette.far, palette.near, 0.25 + 0.7 * share)
        lit = mix(palette.light, (255, 206, 120), 0.6)
        foot = canvas.horizon + (canvas.height - canvas.horizon) * (0.25 + 0.75 * share)
        x = -canvas.width * 0.02
        while x < canvas.width:
            wide = canvas.width * chance.uniform(0.045, 0.11)
            top = canvas.horizon - canvas.height * chance.uniform(0.02, 0.34) * (1.15 - 0.75 * share)
            top += (foot - canvas.horizon) * 0.55 * share
            canvas.draw.rectangle((x, top, x + wide, canvas.height), fill=colour)
            pane = max(min_pane, wide / 9)
            row = top + pane * 1.4
            while row < foot and pane > min_pane:
                column = x + pane
                while column < x + wide - pane * 1.2:
                    if chance.random() < (0.34 if palette.night else 0.14):
                        canvas.draw.rectangle(
                            (column, row, column + pane * 0.7, row + pane),
                            fill=mix(colour, lit, chance.uniform(0.35, 1)),
                        )
                    column += pane * 1.7
                row += pane * 2.2
            x += wide * chance.uniform(0.96, 1.25)
        if share < 1:
            paint_haze(canvas, foot - canvas.height * 0.3, canvas.height * 0.4, 0.4)


def paint_forest(canvas: Canvas) -> None:
    """Ranks of firs on rising ground."""
    palette, chance = canvas.palette, canvas.chance
    depth = canvas.height - canvas.horizon
    for index in range(5):
        share = index / 4
        colour = mix(palette.far, palette.near, share)
        level = canvas.horizon + depth * 0.92 * share
        outline = canvas.ridge(level, canvas.height * 0.035)
        tall = canvas.height * (0.08 + 0.26 * share)
        for x, y in outline[:: 3 + 2 * index]:
            at, high = x + chance.uniform(-0.3, 0.3) * tall, tall * chance.uniform(0.55, 1.1)
            for tier in range(4):
                top, wide = y - high * (1 - tier * 0.2), high * (0.08 + 0.055 * tier)
                canvas.draw.polygon(
                    [(at, top), (at - wide, top + high * 0.36), (at + wide, top + high * 0.36)], fill=colour
                )
        canvas.ground(outline, colour)
        if share < 1:
            paint_haze(canvas, level - tall * 0.25, depth * 0.3, 0.45 * (1 - share))


def paint_dunes(canvas: Canvas) -> None:
    """Long dunes, lit on one side."""
    palette, chance = canvas.palette, canvas.chance
    depth = canvas.height - canvas.horizon
    for index in range(4):
        share = index / 3
        level = canvas.horizon + depth * share * 0.72
        outline = canvas.ridge(level, canvas.height * 0.075)
        canvas.ground(outline, mix(mix(palette.far, palette.light, 0.35), palette.near, share * 0.55))
        shade = [
            (x + chance.uniform(0, 0.004) * canvas.width, y + abs(y - level) * 1.5 + depth * 0.07) for x, y in outline
        ]
        canvas.ground(shade, mix(palette.far, palette.near, 0.25 + 0.65 * share))


SCENES: dict[str, Callable[[Canvas], None]] = {
    "hills": paint_hills,
    "sea": paint_sea,
    "city": paint_city,
    "forest": paint_forest,
    "dunes": paint_dunes,
}


def paint_bokeh(canvas: Canvas) -> None:
    """Scatter soft discs of light over the picture."""
    chance = canvas.chance
    small = (max(8, canvas.width // 6), max(8, canvas.height // 6))
    mask = Image.new("L", small)
    draw = ImageDraw.Draw(mask)
    for _ in range(chance.randint(8, 22)):
        radius = small[1] * chance.uniform(0.012, 0.06)
        x, y = chance.random() * small[0], (0.35 + 0.65 * chance.random()) * small[1]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=chance.randint(18, 70))
    mask = mask.filter(ImageFilter.GaussianBlur(max(0.6, small[1] / 150)))
    canvas.image.paste(canvas.palette.light, (0, 0), mask.resize(canvas.image.size, Image.Resampling.BILINEAR))
