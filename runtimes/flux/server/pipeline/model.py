"""A loaded model, as the server asks for one."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from threading import Lock

from diffusers import DiffusionPipeline
from PIL import Image

from runtimes.flux.options import ModelOptions, card_of
from runtimes.flux.server.pipeline.compiling import denoiser_of
from runtimes.flux.server.pipeline.cuts import cuts
from runtimes.flux.server.pipeline.drawing import drawn
from runtimes.flux.server.pipeline.memory import Memory
from runtimes.flux.server.pipeline.place import Place
from runtimes.flux.server.pipeline.prompts import Prompts
from runtimes.flux.server.pipeline.recipes import Recipe
from runtimes.flux.server.pipeline.switching import CompiledSwitch, Switch
from runtimes.flux.server.pipeline.trial import trial_order
from runtimes.flux.server.ports import Device, Order, Watch


class LoadedModel:
    """A model on one device. Its parts are held once; each task type has a diffusers class over them.

    Args:
        recipe: How it is run.
        pipe: The model, with its LoRAs.
        place: Its device.
        options: Whether it is compiled, and whether its parts take turns on the device.
    """

    def __init__(self, options: ModelOptions, recipe: Recipe, pipe: DiffusionPipeline, place: Place) -> None:
        self.card = card_of(options, recipe.family)
        self._recipe = recipe
        self._pipe = pipe
        self._place = place
        self._by_task: Mapping[str, DiffusionPipeline] = {
            task: pipe if isinstance(pipe, made) else made(**pipe.components) for task, made in recipe.classes.items()
        }
        for each in (pipe, *self._by_task.values()):
            each.set_progress_bar_config(disable=True)
        self._memory = Memory(place)
        names = [lora.name for lora in options.loras]
        encoders = [part for name, part in pipe.components.items() if name.startswith("text_encoder")]
        self._denoiser_loras = (CompiledSwitch if options.compile else Switch)([denoiser_of(pipe)], names)
        self._encoder_loras = Switch(encoders, names)
        # Parts that take turns cannot be used by two threads at once.
        self._turn = nullcontext() if options.offload == "none" else Lock()

    def warm_up(self) -> None:
        """Run with one and with two pictures, and measure what they take; without a GPU with small ones."""

        def draw(count: int) -> None:
            order = trial_order(self.card, count, small=not self._place.is_gpu)
            self.draw([order], self.encode([order]), Watch(lambda _done, _all: None, lambda: True))

        self._memory.measure(draw, self.card.row.size**2)

    def max_pictures(self, width: int, height: int) -> int:
        """How many pictures of a size fit into the device's memory at once; at least 1."""
        return self._memory.max_pictures(width, height)

    def encode(self, orders: Sequence[Order]) -> list[Prompts]:
        """Encode the prompts of a batch, each alone; on a GPU beside what is drawn.

        Raises:
            RefusedError: A prompt or image cannot be taken.
            OutOfMemoryError: Memory did not suffice.
        """
        return self._place.run(lambda: self._encode(orders))

    def warnings(self, order: Order) -> list[str]:
        """What of an order's texts is not read."""
        return cuts(self._pipe, self._recipe, order)

    def _encode(self, orders: Sequence[Order]) -> list[Prompts]:
        with self._turn, self._place.beside():
            self._encoder_loras.to(orders[0].loras)
            return [self._recipe.encode(self._pipe, order) for order in orders]

    def draw(self, orders: Sequence[Order], encoded: list[Prompts], watch: Watch) -> list[list[Image.Image]]:
        """Denoise and decode a batch of orders with one ``batch_key``.

        Raises:
            StoppedError: ``watch.wanted`` said no.
            OutOfMemoryError: Memory did not suffice; nothing of the batch is kept.
            RefusedError: Pictures of this size are too large for the device.
        """
        self._memory.refuse_what_cannot_fit(orders[0].width, orders[0].height)
        return self._place.run(lambda: self._draw(orders, encoded, watch))

    def _draw(self, orders: Sequence[Order], encoded: list[Prompts], watch: Watch) -> list[list[Image.Image]]:
        with self._turn, self._place.in_front():
            self._place.keep(tensor for prompts in encoded for tensor in prompts.values())
            self._denoiser_loras.to(orders[0].loras)
            try:
                return drawn(self._recipe, self._by_task[orders[0].task_type], orders, encoded, watch)
            finally:
                self._pipe.maybe_free_model_hooks()

    def device(self) -> Device:
        """Where it is, and how much memory it takes."""
        return self._place.used()
