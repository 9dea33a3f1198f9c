"""The largest picture that a worker has drawn: it tells too large a request from a device in trouble."""

from runtimes.flux.families import TEXT_TO_IMAGE
from runtimes.flux.options import ModelCard
from runtimes.flux.server.ports import GenerationRequest


class Reach:
    """The most that a worker has drawn, one picture at a time.

    Args:
        card: The model's; the worker has been warmed up with a picture of the family's size, from an image of that size
            where the first of its task types needs one.
    """

    def __init__(self, card: ModelCard) -> None:
        family = card.row
        images = 0 if family.task_types[0] == TEXT_TO_IMAGE else 1
        self._pixels = family.size**2 * (1 + images)
        self._words = _words(family.size, family.size, images)

    def note(self, request: GenerationRequest) -> None:
        """A picture of a request was drawn."""
        if self.is_exceeded_by(request):
            self._pixels, self._words = _pixels(request), _words(*request.size, len(request.images))

    def is_exceeded_by(self, request: GenerationRequest) -> bool:
        """Whether a picture of a request takes more than any that was drawn."""
        return _pixels(request) > self._pixels

    def refusal(self, request: GenerationRequest, memory_bytes: int) -> str:
        """Why a request that exceeds the reach cannot be done, and what could be, for its author.

        Args:
            request: It.
            memory_bytes: Of the device; 0 where it has none of its own.
        """
        memory = f"the GPU's {memory_bytes / 1e9:.0f} GB" if memory_bytes else "memory"
        asked = _words(*request.size, len(request.images))
        return f"{asked} did not fit into {memory}, drawn alone; the most that was drawn so far is {self._words}"


def _pixels(request: GenerationRequest) -> int:
    """Of one picture and of the images that it is drawn from."""
    return request.width * request.height + sum(image.width * image.height for image in request.images)


def _words(width: int, height: int, images: int) -> str:
    beside = {0: "", 1: " from an image"}.get(images, f" from {images} images")
    return f"a picture of {width} x {height} pixels{beside}"
