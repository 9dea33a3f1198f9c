"""FLUX.1-schnell in its real shape with random weights, created on the GPU, for benches without a download.

``PIPELINE=runtimes.flux.standin.full_shape:load`` makes the model server load it. Its tokenizers are those of the tiny
models.
"""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.pipeline.device import ModelDevice
from runtimes.flux.server.pipeline.loading import keep_libraries_quiet, made_ready
from runtimes.flux.server.pipeline.recipes import RECIPES
from runtimes.flux.server.ports import ImagePipeline
from runtimes.flux.standin.tiny import autoencoder, clip_tokenizer, t5_tokenizer


def load(options: ModelOptions, models_folder: str, device_number: int) -> ImagePipeline:
    """Make the model on a device, with the options' dtype, LoRAs and compile.

    Raises:
        PipelineRefusedError: The options include quantization or offload, which need weights from files.
    """
    keep_libraries_quiet()
    if (options.quantization, options.offload) != ("none", "none"):
        raise PipelineRefusedError("random weights are neither quantized nor offloaded")
    device = ModelDevice.numbered(device_number)
    with device.foreground():
        pipe = full_flux(device.torch_device, getattr(torch, options.dtype))
        return made_ready(pipe, RECIPES[FluxPipeline.__name__], options, models_folder, device)


def full_flux(device: torch.device, dtype: torch.dtype) -> FluxPipeline:
    """Make FLUX.1-schnell with random weights on the device: 12 billion parameters in the denoiser, 4.8 in T5."""
    clip, t5 = clip_tokenizer(), t5_tokenizer()
    clip_shape = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "projection_dim": 768}
    t5_shape = {"d_model": 4096, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            return FluxPipeline(
                scheduler=FlowMatchEulerDiscreteScheduler(),
                vae=autoencoder(block_out_channels=(128, 256, 512, 512), layers_per_block=2, norm_num_groups=32).eval(),
                text_encoder=CLIPTextModel(CLIPTextConfig(eos_token_id=clip.eos_token_id, **clip_shape)).eval(),
                tokenizer=clip,
                text_encoder_2=T5EncoderModel(T5Config(feed_forward_proj="gated-gelu", **t5_shape)).eval(),
                tokenizer_2=t5,
                transformer=FluxTransformer2DModel().eval(),
            )
    finally:
        torch.set_default_dtype(before)
