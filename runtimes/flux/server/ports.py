"""The interface of a pipeline. Must not import torch: a worker imports the pipeline by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from PIL import Image

from runtimes.flux.families import EDIT
from runtimes.flux.options import ModelCard, ModelOptions
from runtimes.flux.server.images.finishing import Finishing


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A checked request: defaults are filled in, seeds are drawn, images are decoded."""

    job_id: str
    task_type: str
    prompt: str
    """The prompt, or the instructions of an edit."""
    negative_prompt: str | None = None
    true_cfg: float = 1.0
    """Guidance away from the negative prompt; 1 means none."""
    seeds: tuple[int, ...]
    """One per picture, in order."""
    width: int
    height: int
    steps: int
    guidance: float
    sequence_length: int | None = None
    """Maximum tokens of the prompt; None if the family has no choice."""
    images: tuple[Image.Image, ...] = ()
    """In RGB, the input image first; all have the picture's size, except an edit's references."""
    mask: Image.Image | None = None
    """In mode "L" and the picture's size; 255 is redrawn."""
    strength: float = 1.0
    """How much the image may change, from 0 to 1."""
    loras: tuple[tuple[str, float], ...] = ()
    """Names and weights of LoRAs."""
    preview: bool = False
    finishing: Finishing = field(default_factory=Finishing)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """All values, defaults included, under their names in the API."""
    warnings: tuple[str, ...] = ()
    """Sentences about values that have no effect."""
    digest: bytes = b""
    """SHA-256 of the request as it was posted."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures."""
        return self.width, self.height

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Requests with equal keys can be denoised together. Each edit has its own key, because image sizes differ."""
        alone = self.job_id if self.task_type == EDIT else None
        return (
            *(self.task_type, self.size, self.steps, self.guidance, self.sequence_length, self.true_cfg),
            *(self.negative_prompt is None, self.strength, self.loras, self.preview, alone),
        )

    @property
    def image_bytes(self) -> int:
        """Memory that the input images and the mask take."""
        given = [*self.images, *([self.mask] if self.mask else [])]
        return sum(len(image.getbands()) * image.width * image.height for image in given)

    def without_images(self) -> Self:
        """A copy without the input images."""
        return replace(self, images=(), mask=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """The device that a pipeline runs on."""

    name: str
    """As torch names it: cuda:0, cpu."""
    memory_bytes: int
    """0 for a device without memory of its own."""
    peak_bytes: int
    host_peak_bytes: int
    """The process's highest use of main memory."""
    max_pixels: int
    """How many pixels a batch can have in all its pictures; a single picture can always be tried."""

    def max_pictures(self, size: tuple[int, int]) -> int:
        """How many pictures of a given width and height fit at once, at least 1."""
        return max(1, self.max_pixels // (size[0] * size[1]))


@dataclass(frozen=True, slots=True)
class DrawingWatch:
    """Callbacks of a pipeline while it draws; they run in the drawing thread."""

    stepped: Callable[[int, int], None] = lambda _done, _all: None
    """Called after each step with the number of finished steps and of all steps."""
    wanted: Callable[[], bool] = lambda: True
    """Called after each step; returns whether any request of the batch is still wanted."""
    previewed: Callable[[Image.Image], None] = lambda _: None
    """Called with a preview of the first picture, if one was requested."""


class ImagePipeline(Protocol):
    """A loaded model on one device; another thread may call ``encode`` while ``draw`` runs."""

    card: ModelCard
    """What its requests may contain."""

    def warm_up(self) -> None:
        """Compile, allocate and measure memory, so that the first request is as fast as any other."""

    def encode(self, requests: Sequence[GenerationRequest]) -> Any:
        """Encode the prompts of a batch; ``draw`` takes the result.

        Raises:
            PipelineRefusedError: A prompt or an image cannot be used.
            PipelineMemoryError: There is not enough memory.
        """

    def warnings(self, request: GenerationRequest) -> Sequence[str]:
        """Sentences about parts of a request that this model ignores; runs in the same thread as ``encode``."""

    def draw(self, requests: Sequence[GenerationRequest], encoded: Any, watch: DrawingWatch) -> list[list[Image.Image]]:
        """Denoise and decode requests that share a ``batch_key``; a picture does not depend on its neighbours.

        Returns:
            The pictures of each request, in RGB.

        Raises:
            PipelineStoppedError: ``watch.wanted`` returned False.
            PipelineMemoryError: There is not enough memory; the batch's memory is free again.
            PipelineRefusedError: The model cannot do a request.
        """

    def device(self) -> DeviceStatus:
        """The device, its memory use and its room."""


PipelineLoader = Callable[[ModelOptions, str, int], ImagePipeline]
"""Loads a model, given its options, the folder of models and a device number. Raises PipelineRefusedError."""
