"""A picture does not depend on the ones that it is drawn with."""

from dataclasses import replace

import pytest

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING

np = pytest.importorskip("numpy", reason="the packages of the group flux are not installed here")
pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

PROMISED = 2
"""Of 255, the most that a picture in a batch may differ from the same one drawn alone."""
MODELS = ["flux", "flux-schnell", "flux-kontext", "sdxl", "sd3"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_a_picture_in_a_batch_is_the_one_that_is_drawn_alone(name, dtype, pipeline_of, make_request, draw):
    pipeline = pipeline_of(name, dtype)
    requests = [
        make_request(prompt="a fox", seeds=(1,), negative_prompt="rain"),
        make_request(prompt="the moon over a very wide sea, painted at night " * 3, seeds=(2, 3), negative_prompt="x"),
        make_request(prompt="snow", seeds=(4,), negative_prompt="a long list of things that nobody wants"),
    ]

    together = draw(pipeline, *requests)
    alone = [[draw(pipeline, one_of(request, seed))[0][0] for seed in request.seeds] for request in requests]

    difference = max(
        np.abs(one - other).max()
        for row, other_row in zip(together, alone, strict=True)
        for one, other in zip(row, other_row, strict=True)
    )
    assert difference <= PROMISED
    assert np.abs(together[0][0] - together[1][0]).max() > 10


@pytest.mark.parametrize(
    ("name", "task"),
    [
        *((name, task) for name in ("flux", "sdxl", "sd3") for task in (IMAGE_TO_IMAGE, INPAINTING)),
        ("flux-fill", INPAINTING),
        ("flux-kontext", EDIT),
    ],
)
def test_a_further_picture_of_an_order_with_an_image_is_the_one_of_its_seed(
    name, task, pipeline_of, make_request, draw
):
    pipeline = pipeline_of(name)
    request = make_request(task, seeds=(5, 6, 7))

    [together] = draw(pipeline, request)
    alone = [draw(pipeline, one_of(request, seed))[0][0] for seed in request.seeds]

    assert max(np.abs(one - other).max() for one, other in zip(together, alone, strict=True)) <= PROMISED


@pytest.mark.parametrize(
    ("name", "task"), [("flux", IMAGE_TO_IMAGE), ("flux-fill", INPAINTING), ("sdxl", INPAINTING), ("sd3", INPAINTING)]
)
def test_orders_with_images_of_their_own_are_drawn_together_as_alone(name, task, pipeline_of, make_request, draw):
    first = make_request(task, seeds=(5, 6))
    second = make_request(task, prompt="snow", images=(first.images[0].rotate(180),), seeds=(7,))

    together = draw(pipeline_of(name), first, second)

    for request, row in zip((first, second), together, strict=True):
        for seed, picture in zip(request.seeds, row, strict=True):
            assert np.abs(draw(pipeline_of(name), one_of(request, seed))[0][0] - picture).max() <= PROMISED


def test_pictures_come_back_in_the_order_of_orders_and_seeds(pipeline_of, make_request, draw):
    first, second = make_request(seeds=(1, 2)), make_request(seeds=(3, 1))

    pictures = draw(pipeline_of("flux"), first, second)

    assert [len(row) for row in pictures] == [2, 2]
    assert np.abs(pictures[0][0] - pictures[1][1]).max() <= PROMISED
    assert np.abs(pictures[0][1] - pictures[1][0]).max() > 10


def one_of(request, seed):
    return replace(request, seeds=(seed,))
