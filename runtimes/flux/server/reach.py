"""The largest order that a worker has drawn: it tells orders that are too large from a device that is in trouble."""

from runtimes.flux.families import TEXT_TO_IMAGE
from runtimes.flux.options import ModelCard
from runtimes.flux.server.ports import Order


class Reach:
    """What a worker has drawn, at the most, one picture at a time.

    Args:
        card: The model's; the worker has been warmed up with a picture of the family's size, from an image of that size
            where the first of its task types needs one.
    """

    def __init__(self, card: ModelCard) -> None:
        family = card.row
        images = 0 if family.task_types[0] == TEXT_TO_IMAGE else 1
        self._pixels = family.size**2 * (1 + images)
        self._words = _words(family.size, family.size, images)

    def note(self, order: Order) -> None:
        """An order was drawn."""
        if self.is_exceeded_by(order):
            self._pixels, self._words = _pixels(order), _words(order.width, order.height, len(order.images))

    def is_exceeded_by(self, order: Order) -> bool:
        """Whether a picture of an order takes more than any that was drawn."""
        return _pixels(order) > self._pixels

    def refusal(self, order: Order, memory_bytes: int) -> str:
        """Why an order that is too large cannot be done, and what could be, for its author.

        Args:
            order: An order that exceeds the reach.
            memory_bytes: Of the device; 0 where it has none of its own.
        """
        memory = f"the GPU's {memory_bytes / 1e9:.0f} GB" if memory_bytes else "memory"
        asked = _words(order.width, order.height, len(order.images))
        return f"{asked} did not fit into {memory}, drawn alone; the most that was drawn so far is {self._words}"


def _pixels(order: Order) -> int:
    """Of one picture and of the images that it is drawn from."""
    return order.width * order.height + sum(image.width * image.height for image in order.images)


def _words(width: int, height: int, images: int) -> str:
    beside = {0: "", 1: " from an image"}.get(images, f" from {images} images")
    return f"a picture of {width} x {height} pixels{beside}"
