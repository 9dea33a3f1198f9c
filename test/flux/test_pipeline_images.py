"""Orders that begin with an image: how much of it stays, and where."""

import pytest
from PIL import Image

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING
from runtimes.flux.server.ports import DrawingWatch

np = pytest.importorskip("numpy", reason="the packages of the group flux are not installed here")
pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

MODELS = ["flux", "sdxl", "sd3"]
INPAINTERS = [("flux", INPAINTING), ("flux-fill", INPAINTING), ("sdxl", INPAINTING), ("sd3", INPAINTING)]


@pytest.mark.parametrize("name", MODELS)
def test_without_strength_the_image_comes_back_as_it_was(name, given_image, pipeline_of, make_request, draw):
    [pictures] = draw(pipeline_of(name), make_request(IMAGE_TO_IMAGE, strength=0.0, seeds=(1, 2)))

    assert len(pictures) == 2
    assert all(np.array_equal(picture, np.asarray(given_image)) for picture in pictures)


@pytest.mark.parametrize("steps", [2, 3, 7, 49])
@pytest.mark.parametrize("name", MODELS)
def test_the_least_strength_takes_one_step(name, steps, pipeline_of, make_request, draw):
    asked = make_request(IMAGE_TO_IMAGE, strength=0.01, steps=steps)
    told = []

    draw(pipeline_of(name), asked, watch=watch_of(told))

    assert told == [(1, 1)]


@pytest.mark.parametrize("name", MODELS)
def test_the_image_matters_less_the_more_strength_there_is(name, given_image, pipeline_of, make_request, draw):
    other = given_image.rotate(180)

    def difference(strength):
        pictures = [
            draw(pipeline_of(name), make_request(IMAGE_TO_IMAGE, images=(image,), strength=strength, steps=10))[0][0]
            for image in (given_image, other)
        ]
        return float(np.abs(pictures[0] - pictures[1]).mean())

    assert difference(0.2) > 2 * difference(1.0)


@pytest.mark.parametrize(("name", "task"), [*INPAINTERS, ("flux-kontext", EDIT)])
def test_what_the_mask_keeps_is_kept_to_the_bit_and_the_rest_is_drawn(name, task, pipeline_of, make_request, draw):
    mask = make_request(INPAINTING).mask
    asked = make_request(task, mask=mask, strength=1.0)
    redrawn = np.asarray(mask) == 255

    [[picture]] = draw(pipeline_of(name), asked)

    given = np.asarray(asked.images[0])
    assert np.array_equal(picture[~redrawn], given[~redrawn])
    assert np.abs(picture[redrawn] - given[redrawn]).mean() > 10


def test_a_soft_mask_mixes_image_and_picture(given_image, pipeline_of, make_request, draw):
    """Beside the hard mask of the same half, only the soft edge differs, and there the picture lies in between."""
    hard = Image.new("L", given_image.size, 255)
    soft = hard.copy()
    soft.paste(128, (0, 0, 8, 64))

    [[whole]], [[mixed]] = (draw(pipeline_of("flux"), make_request(INPAINTING, mask=mask)) for mask in (hard, soft))

    between = (whole[:, :8] + np.asarray(given_image)[:, :8]) / 2
    assert np.abs(mixed[:, :8] - between).max() <= 2
    assert np.array_equal(mixed[:, 8:], whole[:, 8:])


@pytest.mark.parametrize(("name", "task"), INPAINTERS)
def test_the_kept_surroundings_matter_for_what_is_drawn(name, task, pipeline_of, make_request, draw):
    given = make_request(task).images[0]
    other = given.copy()
    other.paste((255, 0, 0), (0, 0, 64, 16))
    redrawn = np.asarray(make_request(task).mask) == 255

    pictures = [draw(pipeline_of(name), make_request(task, images=(image,)))[0][0] for image in (given, other)]

    assert np.abs(pictures[0][redrawn] - pictures[1][redrawn]).max() > 0


def watch_of(told):
    return DrawingWatch(lambda done, every: told.append((done, every)), lambda: True)
