"""A tiny pipeline for each family, put together as the real repositories are."""

from collections.abc import Callable, Mapping

from diffusers import (
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxKontextPipeline,
    FluxPipeline,
    QwenImageEditPlusPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from runtimes.flux.server.pipeline.still import StillProcessor
from runtimes.flux.server.pipeline.tiny import denoisers, encoders, words


def _flux_parts(*, fills: bool = False, guided: bool = True) -> dict[str, object]:
    clip_words, t5_words = words.clip_tokenizer(), words.t5_tokenizer()
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=guided),
        "vae": denoisers.autoencoder(),
        "text_encoder": encoders.clip(clip_words),
        "tokenizer": clip_words,
        "text_encoder_2": encoders.t5(t5_words),
        "tokenizer_2": t5_words,
        "transformer": denoisers.flux_transformer(fills=fills, guided=guided),
    }


def _sdxl() -> DiffusionPipeline:
    clip_words = words.clip_tokenizer()
    return StableDiffusionXLPipeline(
        vae=denoisers.autoencoder(channels=4, quantized=True),
        text_encoder=encoders.clip(clip_words),
        text_encoder_2=encoders.projecting_clip(clip_words),
        tokenizer=clip_words,
        tokenizer_2=words.clip_tokenizer(),
        unet=denoisers.sdxl_unet(),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="leading",
            steps_offset=1,
        ),
        add_watermarker=False,
    )


def _sd3() -> DiffusionPipeline:
    clip_words, t5_words = words.clip_tokenizer(), words.t5_tokenizer()
    return StableDiffusion3Pipeline(
        transformer=denoisers.sd3_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=denoisers.autoencoder(),
        text_encoder=encoders.projecting_clip(clip_words),
        tokenizer=clip_words,
        text_encoder_2=encoders.projecting_clip(clip_words),
        tokenizer_2=words.clip_tokenizer(),
        text_encoder_3=encoders.t5(t5_words, width=2 * encoders.WIDTH),
        tokenizer_3=t5_words,
    )


def _qwen_image_edit() -> DiffusionPipeline:
    qwen_words = words.qwen_tokenizer()
    return QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.02),
        vae=denoisers.qwen_autoencoder(),
        text_encoder=encoders.qwen(qwen_words),
        tokenizer=qwen_words,
        processor=StillProcessor(Qwen2VLImageProcessorPil(), qwen_words),
        transformer=denoisers.qwen_transformer(),
    )


TINY: Mapping[str, Callable[[], DiffusionPipeline]] = {
    "flux": lambda: FluxPipeline(**_flux_parts()),
    "flux-schnell": lambda: FluxPipeline(**_flux_parts(guided=False)),
    "flux-fill": lambda: FluxFillPipeline(**_flux_parts(fills=True)),
    "flux-kontext": lambda: FluxKontextPipeline(**_flux_parts()),
    "qwen-image-edit": _qwen_image_edit,
    "sdxl": _sdxl,
    "sd3": _sd3,
}
"""What makes each; ``flux-schnell`` is of the family flux, without guidance."""
