import math
from random import Random
from statistics import mean

import pytest
from PIL import Image

from bench.editing.likeness import MAX_PSNR_DB, like, psnr_db, ssim


def plain(value, size=(9, 8)):
    return Image.new("RGB", size, (value,) * 3)


def noise(size, seed):
    chance = Random(seed)
    return Image.frombytes("RGB", size, chance.randbytes(size[0] * size[1] * 3))


def ssim_by_hand(one, other):
    """Wang's formula, window by window of 7 by 7 pixels, band by band, with variances of samples."""
    values = []
    for a, b in zip(one.split(), other.split(), strict=True):
        for left in range(a.width - 6):
            for top in range(a.height - 6):
                box = (left, top, left + 7, top + 7)
                x, y = a.crop(box).tobytes(), b.crop(box).tobytes()
                mean_x, mean_y = mean(x), mean(y)
                var_x = sum((v - mean_x) ** 2 for v in x) / 48
                var_y = sum((v - mean_y) ** 2 for v in y) / 48
                both = sum((v - mean_x) * (w - mean_y) for v, w in zip(x, y, strict=True)) / 48
                c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
                above = (2 * mean_x * mean_y + c1) * (2 * both + c2)
                values.append(above / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)))
    return mean(values)


def test_psnr_of_pictures_that_differ_by_one_everywhere_is_that_of_a_mean_square_of_one():
    assert psnr_db(plain(10), plain(11)) == pytest.approx(20 * math.log10(255))


def test_psnr_counts_all_bands_together():
    assert psnr_db(plain(0), Image.new("RGB", (9, 8), (30, 0, 0))) == pytest.approx(10 * math.log10(255**2 / 300))


def test_black_and_white_have_a_psnr_of_zero():
    assert psnr_db(plain(0), plain(255)) == 0


def test_equal_pictures_have_the_greatest_psnr_and_an_ssim_of_one():
    picture = noise((20, 30), 1)
    assert psnr_db(picture, picture) == MAX_PSNR_DB
    assert ssim(picture, picture) == pytest.approx(1, abs=1e-6)


def test_ssim_of_black_and_white_is_what_its_constant_leaves():
    c1 = (0.01 * 255) ** 2
    assert ssim(plain(0), plain(255)) == pytest.approx(c1 / (255**2 + c1))


@pytest.mark.parametrize("size", [(7, 7), (9, 7), (8, 12)])
def test_ssim_is_that_of_the_formula(size):
    one, other = noise(size, 1), noise(size, 2)
    half = Image.blend(one, other, 0.3)
    assert ssim(one, other) == pytest.approx(ssim_by_hand(one, other), abs=1e-6)
    assert ssim(one, half) == pytest.approx(ssim_by_hand(one, half), abs=1e-6)


def test_sums_of_the_brightest_pictures_do_not_overflow():
    white = plain(255, (300, 300))
    assert ssim(white, white) == pytest.approx(1, abs=1e-6)


def test_a_picture_of_another_size_and_mode_is_made_comparable():
    assert like(Image.new("RGBA", (64, 64)), plain(0)).size == (9, 8)
    assert like(Image.new("L", (9, 8)), plain(0)).mode == "RGB"
