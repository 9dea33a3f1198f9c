"""Edits of scenes whose right answer is a scene too, and so can be painted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from bench.editing.backdrops import BACKDROPS
from bench.editing.scenes import COLOURS, SHAPES, Light, Scene, Shape, Thing

_T = TypeVar("_T")
_PLACES = (0.2, 0.5, 0.8)
_WORDS = ("OPEN", "SALE", "CAFE", "BOOKS", "TEA", "EXIT", "MUSIC", "BREAD")
_LIGHTS = (
    Light("even daylight", side=-1),
    Light("even daylight", side=1),
    Light("bright light from the left", side=-1, brightness=1.15),
    Light("warm evening light from the right", side=1, tint=(255, 226, 184)),
    Light("cool morning light from the left", side=-1, tint=(208, 226, 255)),
    Light("dim light from the right", side=1, brightness=0.72),
)


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that is asked for.

    Attributes:
        before: The scene as it is given.
        instructions: What is to be changed.
        after: The scene as it should be then.
        in_a_box: Whether the mask is a box: letters old and new have points in common, which are to be redrawn too.
    """

    before: Scene
    instructions: str
    after: Scene
    in_a_box: bool = False


def any_scene(chance: Random) -> Scene:
    """A scene of one to three things, each of a shape and a colour of its own."""
    count = chance.choice((1, 2, 2, 3))
    shapes, colours = chance.sample(SHAPES, count), chance.sample(sorted(COLOURS), count)
    things = [
        _thing(shape, colour, place, chance)
        for shape, colour, place in zip(shapes, colours, sorted(chance.sample(_PLACES, count)), strict=True)
    ]
    return Scene(
        backdrop=chance.choice(list(BACKDROPS)),
        light=chance.choice(_LIGHTS),
        things=tuple(things),
        grain=chance.getrandbits(32),
    )


def _thing(shape: Shape, colour: str, place: float, chance: Random) -> Thing:
    return Thing(
        shape=shape,
        colour=colour,
        centre=place + chance.uniform(-0.04, 0.04),
        height=chance.uniform(0.2, 0.28),
        foot=chance.uniform(0.72, 0.88),
    )


def _recolour(scene: Scene, chance: Random) -> Edit:
    thing = chance.choice(scene.things)
    colour = _other(sorted(COLOURS), [one.colour for one in scene.things], chance)
    after = _with(scene, thing, replace(thing, colour=colour))
    return Edit(scene, f"Make the {thing.name} {colour}.", after)


def _background(scene: Scene, chance: Random) -> Edit:
    backdrop = _other(list(BACKDROPS), [scene.backdrop], chance)
    return Edit(scene, f"Replace the background with {backdrop}.", replace(scene, backdrop=backdrop))


def _light(scene: Scene, chance: Random) -> Edit:
    before = replace(scene, light=_LIGHTS[0])
    word, name, brightness = chance.choice([("brighter", "very bright light", 1.35), ("darker", "dim light", 0.55)])
    after = replace(before, light=replace(before.light, name=name, brightness=brightness))
    return Edit(before, f"Make the whole picture clearly {word}; change nothing else.", after)


def _removal(scene: Scene, chance: Random) -> Edit:
    thing = chance.choice(scene.things)
    return Edit(scene, f"Remove the {thing.name} and its shadow.", _with(scene, thing))


def _text(scene: Scene, chance: Random) -> Edit:
    old, new = chance.sample(_WORDS, 2)
    before = replace(scene, word=old)
    instructions = f'Change the word on the sign from "{old}" to "{new}".'
    return Edit(before, instructions, replace(scene, word=new), in_a_box=True)


def _replacement(scene: Scene, chance: Random) -> Edit:
    thing = chance.choice(scene.things)
    shape = _other(SHAPES, [one.shape for one in scene.things], chance)
    after = _with(scene, thing, replace(thing, shape=shape))
    return Edit(scene, f"Replace the {thing.name} with a {thing.colour} {shape} of the same height.", after)


def _with(scene: Scene, old: Thing, *new: Thing) -> Scene:
    """A scene with something else, or nothing, in a thing's place."""
    things = [one for thing in scene.things for one in (new if thing is old else (thing,))]
    return replace(scene, things=tuple(things))


def _other(choices: Sequence[_T], taken: Sequence[_T], chance: Random) -> _T:
    return chance.choice([one for one in choices if one not in taken])


EDITS: Mapping[str, Callable[[Scene, Random], Edit]] = {
    "recolour": _recolour,
    "background": _background,
    "light": _light,
    "removal": _removal,
    "text": _text,
    "replacement": _replacement,
}
"""Edits by kind."""
