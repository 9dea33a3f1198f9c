"""Denoisers and autoencoders of the real classes with a handful of parameters."""

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)

from runtimes.flux.server.pipeline.tiny.encoders import WIDTH

_LATENT_CHANNELS = 16
_PACKED = 4 * _LATENT_CHANNELS
_FILL_CHANNELS = 2 * _PACKED + 256
"""Noise, the masked image, and the mask's 64 pixels for each of a token's four latents."""


def flux_transformer(*, fills: bool = False, guided: bool = True) -> FluxTransformer2DModel:
    """FLUX's transformer.

    Args:
        fills: Whether it is given an image and a mask beside the noise, as FLUX Fill is.
        guided: Whether it is told the guidance scale, as all but schnell are.
    """
    return FluxTransformer2DModel(
        in_channels=_FILL_CHANNELS if fills else _PACKED,
        out_channels=_PACKED,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=guided,
        axes_dims_rope=(4, 4, 8),
    )


def qwen_transformer() -> QwenImageTransformer2DModel:
    """Qwen-Image's transformer. Its weights are large, or else images and instructions would change nothing visible."""
    transformer = QwenImageTransformer2DModel(
        in_channels=_PACKED,
        out_channels=_LATENT_CHANNELS,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
    )
    for part in transformer.transformer_blocks.modules():
        if isinstance(part, torch.nn.Linear):
            part.weight.data *= 4
    return transformer


def sd3_transformer() -> SD3Transformer2DModel:
    """Stable Diffusion 3's transformer."""
    return SD3Transformer2DModel(
        sample_size=128,
        in_channels=_LATENT_CHANNELS,
        out_channels=_LATENT_CHANNELS,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=96,
    )


def sdxl_unet() -> UNet2DConditionModel:
    """Stable Diffusion XL's UNet."""
    time_numbers, time_width = 6, 8
    return UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        norm_num_groups=8,
        transformer_layers_per_block=1,
        use_linear_projection=True,
        cross_attention_dim=2 * WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=time_width,
        projection_class_embeddings_input_dim=time_numbers * time_width + WIDTH,
    )


def autoencoder(*, channels: int = _LATENT_CHANNELS, quantized: bool = False) -> AutoencoderKL:
    """An autoencoder that makes one latent of eight by eight pixels.

    Args:
        channels: Of a latent.
        quantized: Whether it has the layers before and after the latents, as SDXL's has.
    """
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=channels,
        scaling_factor=0.3611,
        shift_factor=None if quantized else 0.1159,
        use_quant_conv=quantized,
        use_post_quant_conv=quantized,
    )


def qwen_autoencoder() -> AutoencoderKLQwenImage:
    """Qwen-Image's autoencoder, which is made for films and is given one picture."""
    return AutoencoderKLQwenImage(base_dim=4, num_res_blocks=1, z_dim=_LATENT_CHANNELS)
