"""Orders for the runs before the first request."""

from PIL import Image

from runtimes.flux.families import INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.options import ModelCard
from runtimes.flux.server.ports import Order

_STEPS = 2


def trial_order(card: ModelCard, count: int, *, small: bool) -> Order:
    """An order that a model can do.

    Args:
        card: The model.
        count: How many pictures.
        small: Whether its picture is as small as the model takes it; else it has the model's own size.
    """
    family = card.row
    side = 4 * family.size_multiple if small else family.size
    task_type = family.task_types[0]
    return Order(
        job="trial",
        task_type=task_type,
        prompt="a trial",
        seeds=tuple(range(count)),
        width=side,
        height=side,
        steps=_STEPS,
        guidance=card.guidance,
        sequence_length=card.sequence_length,
        images=() if task_type == TEXT_TO_IMAGE else (Image.new("RGB", (side, side)),),
        mask=Image.new("L", (side, side), 255) if task_type == INPAINTING else None,
    )
