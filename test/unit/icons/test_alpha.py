"""The ground of a drawn picture becomes transparent."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from icons.alpha import NoPictureError, cut_out, from_border
from icons.tracing import traced

WHITE, BLUE = (255, 255, 255), (20, 60, 200)


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def pixels(cutout):
    return np.array(Image.open(io.BytesIO(cutout.png)))


def ring(ground=WHITE, side=128):
    """A ring whose edges are soft, as models draw them."""
    image = Image.new("RGB", (side * 4, side * 4), ground)
    draw = ImageDraw.Draw(image)
    draw.ellipse((side, side, 3 * side, 3 * side), fill=BLUE)
    draw.ellipse((side * 1.5, side * 1.5, 2.5 * side, 2.5 * side), fill=ground)
    return image.resize((side, side), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("ground", [WHITE, (0, 0, 0), (240, 235, 230)])
def test_ground_at_the_border_becomes_transparent_and_what_is_enclosed_stays(ground):
    cutout = cut_out(png(ring(ground)))
    found = pixels(cutout)
    assert cutout.kept_ground is None
    assert found[0, 0, 3] == 0
    assert tuple(found[64, 64]) == (*ground, 255)
    assert tuple(found[64, 40]) == (*BLUE, 255)


def test_a_soft_edge_keeps_the_drawn_colour_without_the_ground():
    found = pixels(cut_out(png(ring())))
    row = found[64, 28:40]
    (soft,) = row[(row[:, 3] > 0) & (row[:, 3] < 255)]
    assert np.abs(soft[:3].astype(int) - BLUE).max() < 24


def test_noise_of_the_ground_within_the_tolerance_is_ground():
    noise = np.random.default_rng(0).integers(-12, 13, (128, 128, 3))
    noisy = np.clip(np.array(ring((230, 230, 230))).astype(int) + noise, 0, 255).astype(np.uint8)
    found = pixels(cut_out(png(Image.fromarray(noisy))))
    assert not found[:20, :, 3].any()


def test_an_icon_that_touches_the_border_here_and_there_is_cut_out():
    image = ring()
    ImageDraw.Draw(image).rectangle((0, 50, 60, 70), fill=BLUE)
    cutout = cut_out(png(image))
    assert cutout.kept_ground is None
    assert pixels(cutout)[60, 0, 3] == 255


def photo():
    ramp = np.linspace(0, 255, 128).astype(np.uint8)
    return Image.fromarray(
        np.dstack([np.tile(ramp, (128, 1)), np.tile(ramp[:, None], (1, 128)), np.full((128, 128), 9, np.uint8)])
    )


@pytest.mark.parametrize(
    ("image", "reason"), [(photo(), "no plain ground"), (Image.new("RGB", (64, 64), WHITE), "nothing but ground")]
)
def test_a_picture_without_plain_ground_stays_and_says_why(image, reason):
    cutout = cut_out(png(image))
    assert reason in cutout.kept_ground
    assert (pixels(cutout) == np.array(image.convert("RGBA"))).all()


def test_a_picture_that_is_transparent_already_stays():
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((0, 0, 63, 30), fill=(*BLUE, 255))
    assert (pixels(cut_out(png(image))) == np.array(image)).all()


def test_a_picture_is_made_smaller_never_larger():
    assert pixels(cut_out(png(ring()), side=32)).shape == (32, 32, 4)
    assert pixels(cut_out(png(ring()), side=512)).shape == (128, 128, 4)


@pytest.mark.parametrize("picture", [b"", b"<svg/>", png(ring())[:200], png(Image.new("1", (5000, 4000)))])
def test_bytes_that_are_no_picture_or_too_large_are_refused(picture):
    with pytest.raises(NoPictureError):
        cut_out(picture)


def spiral(side):
    """A corridor that winds inwards, one pixel wide."""
    mask = np.zeros((side, side), dtype=bool)
    mask[0, 0] = True
    row, column, step = 0, 0, (0, 1)

    def is_free(row, column):
        return 0 <= row < side and 0 <= column < side and not mask[row, column]

    while True:
        for _ in range(2):
            ahead = row + step[0], column + step[1]
            beyond = row + 2 * step[0], column + 2 * step[1]
            if is_free(*ahead) and not (0 <= beyond[0] < side and 0 <= beyond[1] < side and mask[beyond]):
                row, column = ahead
                mask[row, column] = True
                break
            step = (step[1], -step[0])
        else:
            return mask


def test_the_fill_follows_a_corridor_to_its_end():
    mask = spiral(101)
    assert mask.sum() > 4000
    assert (from_border(mask) == mask).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_the_fill_reaches_what_steps_from_the_border_reach(share):
    mask = np.random.default_rng(1).random((60, 47)) < share
    reached = np.zeros_like(mask)
    reached[[0, -1]], reached[:, [0, -1]] = mask[[0, -1]], mask[:, [0, -1]]
    while True:
        wider = reached.copy()
        wider[1:] |= reached[:-1]
        wider[:-1] |= reached[1:]
        wider[:, 1:] |= reached[:, :-1]
        wider[:, :-1] |= reached[:, 1:]
        wider &= mask
        if (wider == reached).all():
            break
        reached = wider
    assert (from_border(mask) == reached).all()


def test_a_large_picture_is_traced_at_half_its_size():
    """A picture like noise takes minutes otherwise, each time that it is asked for."""
    noise = np.random.default_rng(0).integers(0, 255, (1024, 512, 3), dtype=np.uint8)
    assert 'viewBox="0 0 256 512"' in traced(cut_out(png(Image.fromarray(noise))).png)


def test_a_traced_icon_has_paths_alone_and_no_ground():
    svg = traced(cut_out(png(ring())).png)
    assert svg.startswith('<svg version="1.1" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128"')
    assert svg.count("<path") == 2
    assert "script" not in svg
