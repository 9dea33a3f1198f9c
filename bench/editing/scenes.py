"""What a made picture shows, as values: the same scene, the same picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Colour = tuple[int, int, int]

COLOURS: Mapping[str, Colour] = {
    "red": (200, 48, 44),
    "orange": (226, 122, 34),
    "yellow": (228, 190, 48),
    "green": (56, 142, 72),
    "blue": (44, 92, 190),
    "purple": (122, 62, 160),
    "pink": (226, 120, 160),
    "white": (236, 234, 226),
}

Shape = Literal["ball", "box", "cone", "tin", "vase"]
SHAPES: tuple[Shape, ...] = ("ball", "box", "cone", "tin", "vase")


@dataclass(frozen=True, slots=True)
class Thing:
    """An object on the table.

    Attributes:
        shape: What it is.
        colour: One of COLOURS.
        centre: Where it stands, as a share of the picture's width.
        height: As a share of the picture's height.
        foot: Where it touches the table, as a share of the picture's height.
    """

    shape: Shape
    colour: str
    centre: float
    height: float
    foot: float

    @property
    def name(self) -> str:
        """What an instruction calls it."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True, slots=True)
class Light:
    """How a scene is lit.

    Attributes:
        name: As a sentence has it.
        side: Where it comes from: -1 is left, 1 is right.
        brightness: 1 is neutral.
        tint: Every colour is multiplied by it; white is neutral.
    """

    name: str
    side: int
    brightness: float = 1.0
    tint: Colour = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Scene:
    """A table with things on it, before a background.

    Attributes:
        backdrop: Name of the background.
        light: How it is lit.
        things: From left to right.
        word: What the sign on the wall says; None where there is no sign.
        grain: Decides about the background's details.
    """

    backdrop: str
    light: Light
    things: tuple[Thing, ...]
    word: str | None = None
    grain: int = 0

    def described(self) -> str:
        """One sentence for models that are told what the picture shows, and not what to change."""
        things = " and ".join(_with_article(thing.name) for thing in self.things)
        table = f"{things} on a table" if things else "an empty table"
        sign = f', a sign with the word "{self.word}" above' if self.word else ""
        return f"{table} in front of {self.backdrop}{sign}, in {self.light.name}"


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
