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
    """One request as the server takes it in: defaults filled in, seeds drawn, images decoded.

    Attributes:
        job_id: Its job.
        task_type: One of ``runtimes.flux.families.TASK_TYPES``.
        prompt: Prompt, or instructions of an edit.
        negative_prompt: None where there is none.
        true_cfg: Guidance away from the negative prompt; 1 is none.
        seeds: Of each picture, in order.
        width, height: In pixels, multiples of what the family takes.
        sequence_length: Tokens of the prompt; None where the family has no choice.
        images: RGB, the given image first; of the picture's size, except for references of an edit.
        mask: "L", of the picture's size; 255 is redrawn.
        strength: How much of the image is redrawn, from 0 to 1.
        loras: LoRAs and their weights, by name.
        preview: Whether a preview of the first picture is wanted.
        finishing: What is done to the pictures.
        parameters: Every value after defaults, under the names of the API.
        warnings: What was asked for and has no effect, in sentences.
        digest: Of the request as it was posted.
    """

    job_id: str
    task_type: str
    prompt: str
    negative_prompt: str | None = None
    true_cfg: float = 1.0
    seeds: tuple[int, ...]
    width: int
    height: int
    steps: int
    guidance: float
    sequence_length: int | None = None
    images: tuple[Image.Image, ...] = ()
    mask: Image.Image | None = None
    strength: float = 1.0
    loras: tuple[tuple[str, float], ...] = ()
    preview: bool = False
    finishing: Finishing = field(default_factory=Finishing)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    digest: bytes = b""

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
    """The device that a pipeline runs on.

    Attributes:
        name: As torch calls it: cuda:0, cpu.
        memory_bytes: Its memory; 0 where it has none of its own.
        peak_bytes: The most that was allocated there.
        host_peak_bytes: The most main memory that the process has had.
        max_pixels: How many pixels of all pictures of a batch fit at once; one picture may always be tried.
    """

    name: str
    memory_bytes: int
    peak_bytes: int
    host_peak_bytes: int
    max_pixels: int

    def max_pictures(self, size: tuple[int, int]) -> int:
        """How many pictures of a width and height fit at once, at least 1."""
        return max(1, self.max_pixels // (size[0] * size[1]))


@dataclass(frozen=True, slots=True)
class DrawingWatch:
    """What a pipeline reports and asks while it draws; called in the thread that draws.

    Attributes:
        stepped: To be called after each step with the number of those done and of all.
        wanted: Whether any request of the batch is still wanted; asked after each step.
        previewed: To be called with a preview of the first picture, where one is wanted.
    """

    stepped: Callable[[int, int], None] = field(default=lambda _done, _all: None)
    wanted: Callable[[], bool] = field(default=lambda: True)
    previewed: Callable[[Image.Image], None] = field(default=lambda _: None)


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
