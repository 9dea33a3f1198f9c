"""What is drawn, the same for the server and for the loop."""

from dataclasses import dataclass

PROMPT = "a fox in the snow, oil on canvas"
STEPS = 4
TOKENS = 256
"""Of the prompt, as FLUX.1-schnell reads them."""


@dataclass(frozen=True, slots=True)
class Work:
    """Pictures to draw; ``side`` in pixels, ``batch`` is how many are denoised together."""

    pictures: int
    side: int = 512
    batch: int = 1
