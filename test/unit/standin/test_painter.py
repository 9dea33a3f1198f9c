"""The pictures themselves."""

import pytest

from runtimes.standin.painter import Brief, blend, paint, unfinished


@pytest.mark.parametrize("change", [{"prompt": "b"}, {"negative": "n"}, {"seed": 2}, {"checkpoint": "other"}])
def test_every_part_of_the_brief_changes_the_picture(change):
    plain = {"prompt": "a", "width": 96, "height": 96, "seed": 1}
    assert paint(Brief(**plain)).tobytes() == paint(Brief(**plain)).tobytes()
    assert paint(Brief(**plain)).tobytes() != paint(Brief(**{**plain, **change})).tobytes()


@pytest.mark.parametrize("size", [(8, 8), (64, 64), (8, 512), (512, 8), (1000, 333), (96, 640)])
def test_any_size_is_drawn_as_asked(size):
    assert paint(Brief(prompt="the sea " * 40, width=size[0], height=size[1])).size == size


@pytest.mark.parametrize("prompt", ["", "一只猫在月光下", "🐈‍⬛" * 50, "word" * 300, "a\nb\tc", "\ud800", "قطة"])
def test_no_prompt_breaks_the_drawing(prompt):
    paint(Brief(prompt=prompt, width=128, height=128))


def test_a_blend_of_nothing_is_what_was_given():
    given, drawn = paint(Brief(prompt="a", width=64, height=64)), paint(Brief(prompt="b", width=64, height=64))
    assert blend(given, drawn, 0).tobytes() == given.tobytes()
    assert blend(given, drawn, 1).tobytes() == drawn.tobytes()


def test_an_unfinished_picture_is_not_the_finished_one():
    picture = paint(Brief(prompt="a", width=64, height=64))
    assert unfinished(picture, 0.3).tobytes() != picture.tobytes()
