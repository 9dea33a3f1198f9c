"""How long denoising takes at least, from published times of one step, for docs/flux.md."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

STEP_SECONDS: Mapping[str, float] = {
    "L40": 0.493,
    "L40, compiled": 0.374,
    "H100": 6.7 / 28,
    "H100, compiled": 4.5 / 28,
}
"""Of FLUX.1 [dev], 1024 x 1024, 512 tokens of prompt, in bfloat16. L40: one call of the denoiser, diffusers' weekly
benchmark (https://huggingface.co/datasets/diffusers/benchmarks); H100: a whole picture over its 28 steps
(https://docs.pytorch.org/devlogs/inductor/2026-05-11-torch-compile-and-diffusers/)."""
_PIXELS_A_TOKEN = 16 * 16
_MEASURED_TOKENS = 1024 * 1024 // _PIXELS_A_TOKEN + 512
_PREVIEW_SHARE = 0.2
_MIN_PREVIEW_STEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture by a model of FLUX.1's size.

    Attributes:
        name: What it is.
        side: Pixels of each side.
        steps: Denoising steps.
        prompt_tokens: Tokens of the prompt.
        references: Images of the same size that the denoiser reads beside it.
    """

    name: str
    side: int
    steps: int
    prompt_tokens: int = 512
    references: int = 0

    def final_seconds(self, step_seconds: float) -> float:
        """Least time for all steps; a step's time grows at least with its tokens."""
        tokens = self.side**2 // _PIXELS_A_TOKEN * (1 + self.references) + self.prompt_tokens
        return self.steps * step_seconds * tokens / _MEASURED_TOKENS

    def preview_seconds(self, step_seconds: float) -> float:
        """Least time until the early look, which comes after a fifth of the steps."""
        seen = max(_MIN_PREVIEW_STEPS, math.ceil(self.steps * _PREVIEW_SHARE))
        return self.final_seconds(step_seconds) * seen / self.steps


PICTURES = (
    Picture(name="`flux-schnell`, 512 x 512, 4 steps", side=512, steps=4, prompt_tokens=256),
    Picture(name="`flux-schnell`, 1024 x 1024, 4 steps", side=1024, steps=4, prompt_tokens=256),
    Picture(name="`flux-dev`, 1024 x 1024, 28 steps", side=1024, steps=28),
    Picture(name="`flux-kontext`, edit at 512, 8 steps", side=512, steps=8, references=1),
    Picture(name="`flux-kontext`, edit at 1024, 28 steps", side=1024, steps=28, references=1),
)
