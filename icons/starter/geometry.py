"""Shapes on a square of 24 units, x to the right and y down, as paths of SVG.

Angles are degrees: 0 points right, 90 down.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import starmap

Point = tuple[float, float]
CENTRE = 12.0


@dataclass(frozen=True)
class Command:
    """One command of a path: M and L have one point, C three, A one with a ``radius``."""

    letter: str
    points: tuple[Point, ...]
    radius: float = 0
    is_large: bool = False
    is_clockwise: bool = False

    def __str__(self) -> str:
        numbers = " ".join(f"{_number(x)} {_number(y)}" for x, y in self.points)
        if self.letter == "A":
            radius = _number(self.radius)
            return f"A{radius} {radius} 0 {self.is_large:d} {self.is_clockwise:d} {numbers}"
        return f"{self.letter}{numbers}"


@dataclass(frozen=True)
class Shape:
    """A path that is stroked, or filled without a stroke."""

    commands: tuple[Command, ...]
    is_filled: bool = False

    def __str__(self) -> str:
        return "".join(map(str, self.commands))


Drawing = tuple[Shape, ...]
CLOSE = Command("Z", ())


def poly(*numbers: float) -> Shape:
    """A line through points, given as x, y, x, y."""
    first, *others = _points(numbers)
    return Shape((Command("M", (first,)), *(Command("L", (point,)) for point in others)))


def closed(*numbers: float) -> Shape:
    """A polygon with these corners, given as x, y, x, y."""
    return Shape((*poly(*numbers).commands, CLOSE))


def curve(*numbers: float) -> Shape:
    """A smooth line through the points (Catmull-Rom)."""
    points = _points(numbers)
    return _smooth((points[0], *points, points[-1]))


def blob(*numbers: float) -> Shape:
    """A smooth closed outline through the points."""
    points = _points(numbers)
    outline = _smooth((points[-1], *points, points[0], points[1]))
    return Shape((*outline.commands, CLOSE))


def arc(x: float, y: float, radius: float, start: float, end: float) -> Shape:
    """Part of a circle, clockwise where ``end`` is greater than ``start``."""
    command = Command("A", (polar(x, y, radius, end),), radius, abs(end - start) > 180, end > start)  # noqa: PLR2004
    return Shape((Command("M", (polar(x, y, radius, start),)), command))


def circle(x: float, y: float, radius: float) -> Shape:
    """A whole circle."""
    there, back = (x + radius, y), (x - radius, y)
    half = (Command("A", (there,), radius, is_clockwise=True), Command("A", (back,), radius, is_clockwise=True))
    return Shape((Command("M", (back,)), *half, CLOSE))


def dot(x: float, y: float, radius: float = 1.5) -> Shape:
    """A filled circle."""
    return fill(circle(x, y, radius))


def ellipse(x: float, y: float, across: float, down: float) -> Shape:
    """An upright ellipse with the half axes ``across`` and ``down``."""
    k = 0.5523  # how far the handles of a quarter circle's Bézier curve stand out
    quarter = ((1, 0), (1, k), (k, 1), (0, 1), (-k, 1), (-1, k), (-1, 0))
    rest = ((-1, -k), (-k, -1), (0, -1), (k, -1), (1, -k), (1, 0))
    first, *others = [(x + across * u, y + down * v) for u, v in quarter + rest]
    commands = [Command("C", tuple(others[index : index + 3])) for index in range(0, 12, 3)]
    return Shape((Command("M", (first,)), *commands, CLOSE))


def rect(x: float, y: float, width: float, height: float, radius: float = 1) -> Shape:
    """A rectangle with rounded corners."""
    right, bottom, r = x + width, y + height, radius
    if not r:
        return closed(x, y, right, y, right, bottom, x, bottom)
    sides = (
        ((right - r, y), (right, y + r)),
        ((right, bottom - r), (right - r, bottom)),
        ((x + r, bottom), (x, bottom - r)),
        ((x, y + r), (x + r, y)),
    )
    commands = [
        command
        for end, turn in sides
        for command in (Command("L", (end,)), Command("A", (turn,), r, is_clockwise=True))
    ]
    return Shape((Command("M", ((x + r, y),)), *commands, CLOSE))


def path(*pieces: Shape) -> Shape:
    """One line out of several that follow each other: each piece starts where the last one ended."""
    first, *others = pieces
    commands = list(first.commands)
    for piece in others:
        start, *rest = piece.commands
        commands += [replace(start, letter="L"), *rest]
    return Shape(tuple(commands))


def outline(*pieces: Shape) -> Shape:
    """As ``path``, and closed."""
    return Shape((*path(*pieces).commands, CLOSE))


def fill(shape: Shape) -> Shape:
    """The inside of the shape, filled; its stroke is drawn by the shape itself."""
    return replace(shape, is_filled=True)


def placed(drawing: Iterable[Shape], x: float = 0, y: float = 0, scale: float = 1) -> Drawing:
    """The drawing about its top left corner scaled, then moved; the stroke keeps its width."""
    return _mapped(drawing, lambda point: (x + scale * point[0], y + scale * point[1]), scale=scale)


def turned(drawing: Iterable[Shape], angle: float, x: float = CENTRE, y: float = CENTRE) -> Drawing:
    """The drawing turned clockwise about a point."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))

    def turn(point: Point) -> Point:
        u, v = point[0] - x, point[1] - y
        return x + u * cos - v * sin, y + u * sin + v * cos

    return _mapped(drawing, turn)


def mirrored(drawing: Iterable[Shape]) -> Drawing:
    """The drawing with left and right exchanged."""
    return _mapped(drawing, lambda point: (2 * CENTRE - point[0], point[1]), is_mirror=True)


def ring(drawing: Sequence[Shape], count: int, start: float = 0) -> Drawing:
    """The drawing ``count`` times around the centre."""
    turns = [turned(drawing, start + index * 360 / count) for index in range(count)]
    return tuple(shape for turn in turns for shape in turn)


def polar(x: float, y: float, radius: float, angle: float) -> Point:
    """The point at this distance and angle from x, y."""
    return x + radius * math.cos(math.radians(angle)), y + radius * math.sin(math.radians(angle))


def corners(x: float, y: float, radii: Sequence[float], count: int, start: float = -90) -> tuple[float, ...]:
    """The numbers of ``count`` corners around x, y; the radii take turns."""
    spots = [polar(x, y, radii[n % len(radii)], start + n * 360 / count) for n in range(count)]
    return tuple(number for spot in spots for number in spot)


def _mapped(
    drawing: Iterable[Shape], function: Callable[[Point], Point], scale: float = 1, *, is_mirror: bool = False
) -> Drawing:
    def command_of(command: Command) -> Command:
        points = tuple(function(point) for point in command.points)
        return replace(
            command, points=points, radius=command.radius * scale, is_clockwise=command.is_clockwise is not is_mirror
        )

    return tuple(replace(shape, commands=tuple(map(command_of, shape.commands))) for shape in drawing)


def _points(numbers: Sequence[float]) -> list[Point]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _smooth(points: Sequence[Point]) -> Shape:
    """From the second to the last but one; the outer two only give the directions."""

    def bend(before: Point, start: Point, end: Point, after: Point) -> Command:
        first = (start[0] + (end[0] - before[0]) / 6, start[1] + (end[1] - before[1]) / 6)
        second = (end[0] - (after[0] - start[0]) / 6, end[1] - (after[1] - start[1]) / 6)
        return Command("C", (first, second, end))

    commands = starmap(bend, zip(points, points[1:], points[2:], points[3:], strict=False))
    return Shape((Command("M", (points[1],)), *commands))


def _number(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
