"""Makes a folder of cases whose right answers are known, because both pictures are painted."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from bench.editing.cases import Case, write_cases
from bench.editing.edits import EDITS, any_scene
from bench.editing.painting import boxed, changed, paint


def make_cases(folder: Path, count: int, seed: int) -> Iterator[Case]:
    """Make cases, all kinds of edits in turn, and yield each as its files are there; cases.json comes last.

    The same count and seed give the same files, as long as Pillow is the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kinds = list(EDITS)
    cases = []
    for number in range(count):
        case = _make(folder, number, kinds[number % len(kinds)], seed)
        cases.append(case)
        yield case
    write_cases(folder, cases)


def _make(folder: Path, number: int, kind: str, seed: int) -> Case:
    chance = Random(f"{seed} {number}")
    edit = EDITS[kind](any_scene(chance), chance)
    before, after = paint(edit.before), paint(edit.after)
    name = f"{number:03d}-{kind}"
    mask = changed(before, after)
    pictures = {"input": before, "mask": boxed(mask) if edit.in_a_box else mask, "reference": after}
    files = {role: f"{name}/{role}.png" for role in pictures}
    (folder / name).mkdir(exist_ok=True)
    for role, picture in pictures.items():
        picture.save(folder / files[role])
    return Case(id=name, kind=kind, instructions=edit.instructions, prompt=edit.after.described(), **files)
