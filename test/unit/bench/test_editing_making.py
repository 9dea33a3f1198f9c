import pytest
from PIL import Image, ImageChops

from bench.editing.cases import read_cases
from bench.editing.edits import EDITS
from bench.editing.making import make_cases
from bench.editing.painting import changed

COUNT = len(EDITS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    list(make_cases(folder, COUNT, seed=1))
    return folder


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_count_and_seed_give_the_same_files(folder, tmp_path):
    list(make_cases(tmp_path, COUNT, seed=1))
    assert files_of(tmp_path) == files_of(folder)


def test_another_seed_gives_other_pictures(folder, tmp_path):
    (case,) = make_cases(tmp_path, 1, seed=2)
    assert (tmp_path / case.input).read_bytes() != (folder / case.input).read_bytes()


def test_all_kinds_of_edits_come_in_turn(folder):
    assert [case.kind for case in read_cases(folder)] == list(EDITS)


def test_every_case_changes_its_picture_and_nothing_outside_its_mask(folder):
    for case in read_cases(folder):
        given, reference = (Image.open(folder / name) for name in (case.input, case.reference))
        mask = Image.open(folder / case.mask)
        assert not any(mask.histogram()[1:255]), case.id
        difference = ImageChops.difference(given, reference)
        assert difference.getbbox(), case.id
        difference.paste((0, 0, 0), (0, 0), mask)
        assert difference.getbbox() is None, case.id


def test_a_mask_reaches_a_few_pixels_beyond_the_change():
    before, after = Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64))
    after.paste((1, 0, 0), (20, 30, 22, 31))
    assert changed(before, after).getbbox() == (15, 25, 27, 36)


def test_the_mask_of_a_word_is_a_box_without_holes(folder):
    (text,) = [case for case in read_cases(folder) if case.kind == "text"]
    mask = Image.open(folder / text.mask)
    left, top, right, foot = mask.getbbox()
    assert mask.histogram()[255] == (right - left) * (foot - top)


def test_every_case_says_what_is_to_be_changed_and_what_is_seen_then(folder):
    removal = next(case for case in read_cases(folder) if case.kind == "removal")
    removed = removal.instructions.removeprefix("Remove the ").removesuffix(" and its shadow.")
    assert len(removed.split()) == 2
    assert removed not in removal.prompt
    assert all(case.instructions and case.prompt for case in read_cases(folder))
