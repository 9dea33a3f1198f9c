"""FLUX.1-schnell in its real shape with random weights, made on the GPU: for benches without a download.

``PIPELINE=runtimes.flux.standin.full_shape:load`` makes the model server load it. Its tokenizers are the tiny ones.
"""

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.pipeline.device import ModelDevice
from runtimes.flux.server.pipeline.loading import keep_libraries_quiet, made_ready
from runtimes.flux.server.pipeline.recipes import RECIPES
from runtimes.flux.server.ports import ImagePipeline
from runtimes.flux.standin.tiny import clip_tokenizer, t5_tokenizer


def load(options: ModelOptions, models_folder: str, device_number: int) -> ImagePipeline:
    """Make the model on a device; takes the place of ``runtimes.flux.server.pipeline.loading.load``.

    Args:
        options: Profile flux-schnell; dtype, LoRAs and compile are heeded.
        models_folder: Where LoRAs are.
        device_number: Which GPU.

    Raises:
        PipelineRefusedError: Quantization or offload is asked for; they go with reading weights.
    """
    keep_libraries_quiet()
    if (options.quantization, options.offload) != ("none", "none"):
        raise PipelineRefusedError("random weights are neither quantized nor offloaded")
    device = ModelDevice.numbered(device_number)
    with device.in_front():
        pipe = full_flux(device.torch_device, getattr(torch, options.dtype))
        return made_ready(pipe, RECIPES[FluxPipeline.__name__], options, models_folder, device)


def full_flux(device: torch.device, dtype: torch.dtype) -> FluxPipeline:
    """Make FLUX.1-schnell of random weights: 12 billion parameters in the denoiser, 4.8 in T5.

    Args:
        device: Where it is made; nothing passes through main memory.
        dtype: Of its weights.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            return FluxPipeline(
                scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
                vae=_autoencoder().eval(),
                text_encoder=CLIPTextModel(_clip()).eval(),
                tokenizer=clip_tokenizer(),
                text_encoder_2=T5EncoderModel(_t5()).eval(),
                tokenizer_2=t5_tokenizer(),
                transformer=FluxTransformer2DModel(guidance_embeds=False).eval(),
            )
    finally:
        torch.set_default_dtype(before)


def _autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=16,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _clip() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        projection_dim=768,
        eos_token_id=clip_tokenizer().eos_token_id,
    )


def _t5() -> T5Config:
    return T5Config(
        vocab_size=32128,
        d_model=4096,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
    )
