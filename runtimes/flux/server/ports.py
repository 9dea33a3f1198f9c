"""What the server asks of a pipeline. Free of torch: a worker imports the pipeline by its name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

from runtimes.flux.families import EDIT
from runtimes.flux.options import ModelCard, ModelOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One request as the pipeline gets it, all defaults filled in.

    Attributes:
        job: Its job.
        task_type: One of ``runtimes.flux.families.TASK_TYPES``.
        prompt: Prompt, or instructions of an edit.
        negative_prompt: None where there is none.
        true_cfg: Guidance away from the negative prompt; 1 is none.
        seeds: Of each picture that is asked for, in order.
        width: Image.Image, a multiple of what the family takes.
        height: The same.
        steps: Denoising steps.
        guidance: Guidance scale.
        sequence_length: Tokens of the prompt; None where the family has no choice.
        images: RGB, the given image first; of the picture's size, except for references of an edit.
        mask: "L", of the picture's size; 255 is redrawn.
        strength: How much of the image is redrawn, from 0 to 1.
        loras: LoRAs and their weights, by name.
        preview: Whether an early look at the first picture is wanted.
    """

    job: str
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

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures."""
        return self.width, self.height

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Orders of equal keys may be denoised together; an edit comes alone, as its images have sizes of their own."""
        alone = self.job if self.task_type == EDIT else None
        return (
            *(self.task_type, self.width, self.height, self.steps, self.guidance, self.sequence_length, self.true_cfg),
            *(self.negative_prompt is None, self.strength, self.loras, self.preview, alone),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where a pipeline is.

    Attributes:
        name: As torch calls it: cuda:0, cpu.
        memory_bytes: Of the device; 0 where it has none of its own.
        peak_bytes: The most that was allocated there.
        host_peak_bytes: The most main memory that the process has had.
    """

    name: str
    memory_bytes: int
    peak_bytes: int
    host_peak_bytes: int


class StoppedError(Exception):
    """Drawing was stopped because no job of the batch is wanted any more."""


class OutOfMemoryError(Exception):
    """The device's memory did not suffice; the pipeline can go on with less."""


class RefusedError(Exception):
    """The pipeline cannot do an order; the message says why and may be shown to its author."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a pipeline tells and asks while it draws; called in the thread that draws.

    Attributes:
        stepped: To be called after each step with the number of those done and of all.
        wanted: Whether any order of the batch is wanted still; asked after each step.
        previewed: To be called with an early look at the first picture, where one is wanted.
    """

    stepped: Callable[[int, int], None]
    wanted: Callable[[], bool]
    previewed: Callable[[Image.Image], None] = field(default=lambda _: None)


class Pipeline(Protocol):
    """A loaded model on one device; ``encode`` may be called in another thread while ``draw`` runs."""

    card: ModelCard
    """What requests to it may hold."""

    def warm_up(self) -> None:
        """Run once, so that the first request is as fast as any: compiles, allocates."""

    def max_pictures(self, width: int, height: int) -> int:
        """How many pictures of a size fit into the device's memory at once; at least 1."""

    def encode(self, orders: Sequence[Order]) -> Any:
        """Encode the prompts of a batch; what is returned goes into ``draw``.

        Raises:
            RefusedError: A prompt or image cannot be taken.
            OutOfMemoryError: Memory did not suffice.
        """

    def warnings(self, order: Order) -> Sequence[str]:
        """What of an order has no effect as only the model can tell, in sentences; called where ``encode`` is."""

    def draw(self, orders: Sequence[Order], encoded: Any, watch: Watch) -> list[list[Image.Image]]:
        """Denoise and decode a batch of orders with one ``batch_key``; a picture does not depend on its neighbours.

        Returns:
            The pictures of each order, in RGB.

        Raises:
            StoppedError: ``watch.wanted`` said no.
            OutOfMemoryError: Memory did not suffice; nothing of the batch is kept.
            RefusedError: An order cannot be done.
        """

    def device(self) -> Device:
        """Where it is, and how much memory it takes."""


Loader = Callable[[ModelOptions, str, int], Pipeline]
"""Loads a model: its options, the folder of models, the number of the device. Raises RefusedError if it cannot."""
