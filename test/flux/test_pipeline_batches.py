"""A picture does not depend on the ones that it is drawn with."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING
from runtimes.flux.server.ports import Order, Pipeline

np = pytest.importorskip("numpy", reason="the packages of the group flux are not installed here")
pytest.importorskip("torch", reason="the packages of the group flux are not installed here")

PROMISED = 2
"""Of 255, the most that a picture in a batch may differ from the same one drawn alone."""
MODELS = ["flux", "flux-schnell", "flux-kontext", "sdxl", "sd3"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_a_picture_in_a_batch_is_the_one_that_is_drawn_alone(
    name: str, dtype: str, pipeline_of: Callable[..., Pipeline], make_order: Callable[..., Order], draw: Any
) -> None:
    pipeline = pipeline_of(name, dtype)
    orders = [
        make_order(prompt="a fox", seeds=(1,), negative_prompt="rain"),
        make_order(prompt="the moon over a very wide sea, painted at night " * 3, seeds=(2, 3), negative_prompt="x"),
        make_order(prompt="snow", seeds=(4,), negative_prompt="a long list of things that nobody wants"),
    ]

    together = draw(pipeline, *orders)
    alone = [[draw(pipeline, one_of(order, seed))[0][0] for seed in order.seeds] for order in orders]

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
    name: str, task: str, pipeline_of: Callable[..., Pipeline], make_order: Callable[..., Order], draw: Any
) -> None:
    pipeline = pipeline_of(name)
    order = make_order(task, seeds=(5, 6, 7))

    [together] = draw(pipeline, order)
    alone = [draw(pipeline, one_of(order, seed))[0][0] for seed in order.seeds]

    assert max(np.abs(one - other).max() for one, other in zip(together, alone, strict=True)) <= PROMISED


@pytest.mark.parametrize(
    ("name", "task"), [("flux", IMAGE_TO_IMAGE), ("flux-fill", INPAINTING), ("sdxl", INPAINTING), ("sd3", INPAINTING)]
)
def test_orders_with_images_of_their_own_are_drawn_together_as_alone(
    name: str, task: str, pipeline_of: Callable[..., Pipeline], make_order: Callable[..., Order], draw: Any
) -> None:
    first = make_order(task, seeds=(5, 6))
    second = make_order(task, prompt="snow", images=(first.images[0].rotate(180),), seeds=(7,))

    together = draw(pipeline_of(name), first, second)

    for order, row in zip((first, second), together, strict=True):
        for seed, picture in zip(order.seeds, row, strict=True):
            assert np.abs(draw(pipeline_of(name), one_of(order, seed))[0][0] - picture).max() <= PROMISED


def test_pictures_come_back_in_the_order_of_orders_and_seeds(
    pipeline_of: Callable[..., Pipeline], make_order: Callable[..., Order], draw: Any
) -> None:
    first, second = make_order(seeds=(1, 2)), make_order(seeds=(3, 1))

    pictures = draw(pipeline_of("flux"), first, second)

    assert [len(row) for row in pictures] == [2, 2]
    assert np.abs(pictures[0][0] - pictures[1][1]).max() <= PROMISED
    assert np.abs(pictures[0][1] - pictures[1][0]).max() > 10


def one_of(order: Order, seed: int) -> Order:
    return replace(order, seeds=(seed,))
