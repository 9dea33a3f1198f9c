"""What the server asks of a pipeline. Free of torch: a worker imports the pipeline by its name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from PIL import Image

from runtimes.flux.families import EDIT
from runtimes.flux.options import ModelCard, ModelOptions
from runtimes.flux.server.images.finishing import Finishing


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One request as the server takes it in: defaults filled in, seeds drawn, images decoded."""

    job_id: str
    task_type: str
    prompt: str
    """Prompt, or instructions of an edit."""
    negative_prompt: str | None = None
    true_cfg: float = 1.0
    """Guidance away from the negative prompt; 1 is none."""
    seeds: tuple[int, ...]
    """One for each picture, in order."""
    width: int
    height: int
    steps: int
    guidance: float
    sequence_length: int | None = None
    """Tokens of the prompt; None where the family has no choice."""
    images: tuple[Image.Image, ...] = ()
    """RGB, the given image first; of the picture's size, except for references of an edit."""
    mask: Image.Image | None = None
    """"L", of the picture's size; 255 is redrawn."""
    strength: float = 1.0
    """How much of the image is redrawn, from 0 to 1."""
    loras: tuple[tuple[str, float], ...] = ()
    """LoRAs and their weights, by name."""
    preview: bool = False
    finishing: Finishing = field(default_factory=Finishing)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Every value after defaults, under the names of the API."""
    warnings: tuple[str, ...] = ()
    """What was asked for and has no effect, in sentences."""
    digest: bytes = b""
    """Digest of the request as it was posted."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures."""
        return self.width, self.height

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Requests of equal keys may be denoised together; an edit comes alone, as its images have their own sizes."""
        alone = self.job_id if self.task_type == EDIT else None
        return (
            *(self.task_type, self.size, self.steps, self.guidance, self.sequence_length, self.true_cfg),
            *(self.negative_prompt is None, self.strength, self.loras, self.preview, alone),
        )

    @property
    def image_bytes(self) -> int:
        """Memory that the given images and their mask take."""
        given = [*self.images, *([self.mask] if self.mask else [])]
        return sum(len(image.getbands()) * image.width * image.height for image in given)

    def without_images(self) -> Self:
        """The same without the images that were given."""
        return replace(self, images=(), mask=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """The device that a pipeline runs on."""

    name: str
    """As torch calls it: cuda:0, cpu."""
    memory_bytes: int
    """0 where it has no memory of its own."""
    peak_bytes: int
    host_peak_bytes: int
    """The most main memory that the process has had."""
    max_pixels: int
    """How many pixels of all pictures of a batch fit at once; one picture may always be tried."""

    def max_pictures(self, size: tuple[int, int]) -> int:
        """How many pictures of a width and height fit at once, at least 1."""
        return max(1, self.max_pixels // (size[0] * size[1]))


@dataclass(frozen=True, slots=True)
class DrawingWatch:
    """What a pipeline reports and asks while it draws; called in the thread that draws."""

    stepped: Callable[[int, int], None] = lambda _done, _all: None
    """Called after each step with the number of those done and of all."""
    wanted: Callable[[], bool] = lambda: True
    """Whether any request of the batch is still wanted; asked after each step."""
    previewed: Callable[[Image.Image], None] = lambda _: None
    """Called with a preview of the first picture, where one is wanted."""


class ImagePipeline(Protocol):
    """A loaded model on one device; ``encode`` may be called in another thread while ``draw`` runs."""

    card: ModelCard
    """What requests to it may hold."""

    def warm_up(self) -> None:
        """Run once, so that the first request is as fast as any: compiles, allocates, measures memory."""

    def encode(self, requests: Sequence[GenerationRequest]) -> Any:
        """Encode the prompts of a batch; the result goes into ``draw``.

        Raises:
            PipelineRefusedError: A prompt or image cannot be used.
            PipelineMemoryError: Memory does not suffice.
        """

    def warnings(self, request: GenerationRequest) -> Sequence[str]:
        """What of a request has no effect as only the model can tell, in sentences; called where ``encode`` is."""

    def draw(self, requests: Sequence[GenerationRequest], encoded: Any, watch: DrawingWatch) -> list[list[Image.Image]]:
        """Denoise and decode requests of one ``batch_key``; a picture does not depend on its neighbours.

        Returns:
            The pictures of each request, in RGB.

        Raises:
            PipelineStoppedError: ``watch.wanted`` returned False.
            PipelineMemoryError: Memory does not suffice; nothing of the batch is kept.
            PipelineRefusedError: A request cannot be done.
        """

    def device(self) -> DeviceStatus:
        """Its device, and how much memory it takes and has room for."""


PipelineLoader = Callable[[ModelOptions, str, int], ImagePipeline]
"""Loads a model: its options, the folder of models, the number of the device. Raises PipelineRefusedError."""
