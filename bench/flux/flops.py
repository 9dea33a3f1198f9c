"""How many floating-point operations a picture of FLUX takes; a multiplication and an addition are two.

Counted are matrix products and convolutions, as torch's FlopCounterMode does. What each layer multiplies is read from
diffusers' FluxTransformer2DModel and the Decoder of AutoencoderKL. With d the hidden size, i tokens of the image, t of
the prompt and n = i + t, a block of either kind has 12 d² weights for each token and 2 n² d products in its attention.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_PIXELS_PER_LATENT = 8
_LATENTS_PER_TOKEN = 2
_TIME_CHANNELS = 256
_KERNEL = 9
"""Of 3 x 3 pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a model's work depends on.

    Attributes:
        hidden: Numbers of a token.
        double_blocks: Blocks with weights of their own for image and prompt.
        single_blocks: Blocks with the same weights for both.
        packed: Numbers of a token before the first block and after the last one.
        prompt: Numbers of a token of the prompt, as T5 gives it.
        pooled: Numbers of the prompt, as CLIP gives it.
        guided: Whether it is told the guidance scale.
        decoder: Channels of the autoencoder's decoder, from its pixels inwards.
        resnets: In each of the decoder's levels.
    """

    hidden: int
    double_blocks: int
    single_blocks: int
    packed: int
    prompt: int
    pooled: int
    guided: bool
    decoder: tuple[int, ...]
    resnets: int

    @classmethod
    def of(cls, transformer: Mapping[str, Any], vae: Mapping[str, Any]) -> "Shape":
        """Read it from the configurations of diffusers' parts."""
        return cls(
            hidden=transformer["num_attention_heads"] * transformer["attention_head_dim"],
            double_blocks=transformer["num_layers"],
            single_blocks=transformer["num_single_layers"],
            packed=transformer["in_channels"],
            prompt=transformer["joint_attention_dim"],
            pooled=transformer["pooled_projection_dim"],
            guided=transformer["guidance_embeds"],
            decoder=tuple(vae["block_out_channels"]),
            resnets=vae["layers_per_block"] + 1,
        )

    def picture(self, side: int, steps: int, tokens: int) -> int:
        """Operations of a picture: all steps of the denoiser, and the decoder. Encoding the prompt is left out.

        Args:
            side: Width and height, in pixels.
            steps: Denoising steps.
            tokens: Of the prompt.
        """
        return steps * self.step(side, tokens) + self.decoding(side)

    def step(self, side: int, tokens: int) -> int:
        """Operations of one step of the denoiser."""
        d = self.hidden
        image = (side // _PIXELS_PER_LATENT // _LATENTS_PER_TOKEN) ** 2
        every = image + tokens
        block = 12 * d * d * every + 2 * every * every * d
        times = 1 + self.guided
        # The modulation of a double block has 6 d numbers for each of its streams, that of a single one 3 d.
        once = (
            times * (_TIME_CHANNELS * d + d * d)
            + self.pooled * d
            + d * d
            + self.double_blocks * 12 * d * d
            + self.single_blocks * 3 * d * d
            + 2 * d * d
        )
        ends = 2 * image * self.packed * d + tokens * self.prompt * d
        return 2 * ((self.double_blocks + self.single_blocks) * block + once + ends)

    def decoding(self, side: int) -> int:
        """Operations of the decoder."""
        outermost, innermost = self.decoder[0], self.decoder[-1]
        pixels = (side // _PIXELS_PER_LATENT) ** 2
        latent = self.packed // _LATENTS_PER_TOKEN**2
        products = _KERNEL * pixels * latent * innermost
        products += 2 * _resnet(pixels, innermost, innermost) + _attention(pixels, innermost)
        levels = list(reversed(self.decoder))
        for level, (before, channels) in enumerate(pairwise([innermost, *levels])):
            products += _resnet(pixels, before, channels) + (self.resnets - 1) * _resnet(pixels, channels, channels)
            if level < len(levels) - 1:
                pixels *= 4
                products += _KERNEL * pixels * channels * channels
        return 2 * (products + _KERNEL * pixels * outermost * 3)


def _resnet(pixels: int, before: int, after: int) -> int:
    """Two convolutions, and where the channels change one of a single pixel beside them."""
    return pixels * (_KERNEL * after * (before + after) + (before * after if before != after else 0))


def _attention(pixels: int, channels: int) -> int:
    return 4 * pixels * channels * channels + 2 * pixels * pixels * channels
