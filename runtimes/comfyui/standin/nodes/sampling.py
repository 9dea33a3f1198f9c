"""Nodes around the model: loaders, text, latents, samplers, upscalers."""

import asyncio
from collections.abc import Callable
from typing import Any

from PIL import Image

from runtimes.comfyui.standin.nodes.image import CROPS, MAX_SIDE, METHODS, resized
from runtimes.comfyui.standin.registry import Context, Input, Library, choice, link, node, real, text, whole
from runtimes.comfyui.standin.values import Images, Latent, Model
from runtimes.standin.painter import Brief, Painter, unfinished

_MAX_SEED = 0xFFFFFFFFFFFFFFFF
_GREY = (127, 127, 127)
_UPSCALE_FACTOR = 4
_SEED_STRIDE = 1_000_003
# fmt: off
_SAMPLERS = [
    "euler", "euler_cfg_pp", "euler_ancestral", "euler_ancestral_cfg_pp", "heun", "heunpp2", "dpm_2",
    "dpm_2_ancestral", "lms", "dpm_fast", "dpm_adaptive", "dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp",
    "dpmpp_sde", "dpmpp_sde_gpu", "dpmpp_2m", "dpmpp_2m_cfg_pp", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu",
    "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu", "dpmpp_3m_sde", "dpmpp_3m_sde_gpu", "ddpm", "lcm", "ipndm",
    "ipndm_v", "deis", "res_multistep", "res_multistep_cfg_pp", "res_multistep_ancestral",
    "res_multistep_ancestral_cfg_pp", "gradient_estimation", "gradient_estimation_cfg_pp", "er_sde", "seeds_2",
    "seeds_3", "sa_solver", "sa_solver_pece", "ddim", "uni_pc", "uni_pc_bh2",
]
# fmt: on
_SCHEDULERS = [
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
]


def _models(folder: str) -> Callable[[Library], list[str]]:
    return lambda library: list(library.models.get(folder, ()))


@node(
    "CheckpointLoaderSimple",
    inputs={"ckpt_name": choice(_models("checkpoints"), tooltip="The name of the checkpoint (model) to load.")},
    outputs=("MODEL", "CLIP", "VAE"),
    output_tooltips=(
        "The model used for denoising latents.",
        "The CLIP model used for encoding text prompts.",
        "The VAE model used for encoding and decoding images to and from latent space.",
    ),
    category="loaders",
    display="Load Checkpoint",
    description="Loads a diffusion model checkpoint, diffusion models are used to denoise latents.",
)
def load_checkpoint(ckpt_name: str) -> tuple[Model, Model, Model]:
    """Load a checkpoint: its name stands for its weights."""
    return Model(ckpt_name), Model(ckpt_name), Model(ckpt_name)


@node(
    "VAELoader",
    inputs={"vae_name": choice(_models("vae"))},
    outputs=("VAE",),
    category="loaders",
    display="Load VAE",
)
def load_vae(vae_name: str) -> tuple[Model]:
    """Load a decoder, by name only."""
    return (Model(vae_name),)


@node(
    "LoraLoader",
    inputs={
        "model": link("MODEL", "The diffusion model the LoRA will be applied to."),
        "clip": link("CLIP", "The CLIP model the LoRA will be applied to."),
        "lora_name": choice(_models("loras"), tooltip="The name of the LoRA."),
        "strength_model": real(1.0, -100.0, 100.0, step=0.01),
        "strength_clip": real(1.0, -100.0, 100.0, step=0.01),
    },
    outputs=("MODEL", "CLIP"),
    category="loaders",
    display="Load LoRA",
)
def load_lora(
    model: Model, clip: Model, lora_name: str, strength_model: float, strength_clip: float
) -> tuple[Model, Model]:
    """Load a LoRA: model and text encoder get another name, so that the picture changes."""
    return Model(f"{model.name}+{lora_name}@{strength_model}"), Model(f"{clip.name}+{lora_name}@{strength_clip}")


@node(
    "UpscaleModelLoader",
    inputs={"model_name": Input(_models("upscale_models"), listed=True)},
    outputs=("UPSCALE_MODEL",),
    category="loaders",
    display="Load Upscale Model",
    module="comfy_extras.nodes_upscale_model",
)
def load_upscaler(model_name: str) -> tuple[Model]:
    """Load an upscaler, by name only."""
    return (Model(model_name),)


@node(
    "ImageUpscaleWithModel",
    inputs={"upscale_model": link("UPSCALE_MODEL"), "image": link("IMAGE")},
    outputs=("IMAGE",),
    category="image/upscaling",
    display="Upscale Image (using Model)",
    module="comfy_extras.nodes_upscale_model",
)
def upscale_with_model(image: Images, **_: Model) -> tuple[Images]:
    """Resize to four times the size."""
    size = (image[0].width * _UPSCALE_FACTOR, image[0].height * _UPSCALE_FACTOR)
    return (resized(image, size, "lanczos"),)


@node(
    "CLIPTextEncode",
    inputs={
        "text": text(multiline=True, dynamicPrompts=True, tooltip="The text to be encoded."),
        "clip": link("CLIP", "The CLIP model used for encoding the text."),
    },
    outputs=("CONDITIONING",),
    output_tooltips=("A conditioning containing the embedded text used to guide the diffusion model.",),
    category="conditioning",
    display="CLIP Text Encode (Prompt)",
)
def encode_text(text: str, **_: Model) -> tuple[str]:
    """Hand the text on."""
    return (text,)


@node(
    "EmptyLatentImage",
    inputs={
        "width": whole(512, 16, MAX_SIDE, step=8, tooltip="The width of the latent images in pixels."),
        "height": whole(512, 16, MAX_SIDE, step=8, tooltip="The height of the latent images in pixels."),
        "batch_size": whole(1, 1, 4096, tooltip="The number of latent images in the batch."),
    },
    outputs=("LATENT",),
    output_tooltips=("The empty latent image batch.",),
    category="latent",
    display="Empty Latent Image",
    description="Create a new batch of empty latent images to be denoised via sampling.",
)
def empty_latent(width: int, height: int, batch_size: int) -> tuple[Latent]:
    """Make latents without a picture; sizes are cut to multiples of 8."""
    return (Latent((Image.new("RGB", (width // 8 * 8, height // 8 * 8), _GREY),) * batch_size, empty=True),)


@node(
    "LatentUpscale",
    inputs={
        "samples": link("LATENT"),
        "upscale_method": choice([*METHODS[:-1], "bislerp"]),
        "width": whole(512, 0, MAX_SIDE, step=8),
        "height": whole(512, 0, MAX_SIDE, step=8),
        "crop": choice(CROPS),
    },
    outputs=("LATENT",),
    category="latent",
    display="Upscale Latent",
)
def upscale_latent(samples: Latent, upscale_method: str, width: int, height: int, crop: str) -> tuple[Latent]:
    """Resize what the latents hold."""
    return (Latent(tuple(resized(list(samples.images), (width, height), upscale_method, crop)), empty=samples.empty),)


@node(
    "VAEDecode",
    inputs={
        "samples": link("LATENT", "The latent to be decoded."),
        "vae": link("VAE", "The VAE model used for decoding the latent."),
    },
    outputs=("IMAGE",),
    output_tooltips=("The decoded image.",),
    category="latent",
    display="VAE Decode",
    description="Decodes latent images back into pixel space images.",
)
def decode_latent(samples: Latent, **_: Model) -> tuple[Images]:
    """Take the pictures out of the latents."""
    return (list(samples.images),)


@node(
    "VAEEncode",
    inputs={"pixels": link("IMAGE"), "vae": link("VAE")},
    outputs=("LATENT",),
    category="latent",
    display="VAE Encode",
)
def encode_latent(pixels: Images, **_: Model) -> tuple[Latent]:
    """Put pictures into latents, cut to multiples of 8."""
    return (Latent(tuple(one.crop((0, 0, one.width // 8 * 8, one.height // 8 * 8)) for one in pixels)),)


def _drawn(painter: Painter, latent: Latent, strength: float, **asked: Any) -> tuple[Image.Image, ...]:
    results = []
    for index, image in enumerate(latent.images):
        seed = asked["seed"] + index * _SEED_STRIDE
        brief = Brief(**{**asked, "seed": seed}, width=image.width, height=image.height)
        results.append(painter.draw(brief, None if latent.empty else image, strength))
    return tuple(results)


async def _sample(context: Context, latent: Latent, steps: range, strength: float, **brief: Any) -> tuple[Latent]:
    images = await asyncio.to_thread(_drawn, context.painter, latent, strength, **brief)
    for done, _ in enumerate(steps, start=1):
        preview = unfinished(images[0], done / len(steps)) if context.previews else None
        await context.step(done, len(steps), preview, "JPEG")
    return (Latent(images),)


_GUIDED = {
    "cfg": real(8.0, 0.0, 100.0, step=0.1, round=0.01),
    "sampler_name": choice(_SAMPLERS),
    "scheduler": choice(_SCHEDULERS),
    "positive": link("CONDITIONING"),
    "negative": link("CONDITIONING"),
    "latent_image": link("LATENT"),
}


@node(
    "KSampler",
    inputs={
        "model": link("MODEL", "The model used for denoising the input latent."),
        "seed": whole(0, 0, _MAX_SEED, control_after_generate=True),
        "steps": whole(20, 1, 10000),
        **_GUIDED,
        "denoise": real(1.0, 0.0, 1.0, step=0.01),
    },
    outputs=("LATENT",),
    output_tooltips=("The denoised latent.",),
    category="sampling",
    display="KSampler",
)
async def sample(
    context: Context, *, model: Model, seed: int, steps: int, denoise: float, latent_image: Latent, **guided: Any
) -> tuple[Latent]:
    """Draw from a text, or redraw what the latents hold by `denoise`."""
    texts = {"prompt": guided["positive"], "negative": guided["negative"]}
    return await _sample(context, latent_image, range(steps), denoise, **texts, seed=seed, checkpoint=model.name)


@node(
    "KSamplerAdvanced",
    inputs={
        "model": link("MODEL"),
        "add_noise": choice(["enable", "disable"]),
        "noise_seed": whole(0, 0, _MAX_SEED, control_after_generate=True),
        "steps": whole(20, 1, 10000),
        **_GUIDED,
        "start_at_step": whole(0, 0, 10000),
        "end_at_step": whole(10000, 0, 10000),
        "return_with_leftover_noise": choice(["disable", "enable"]),
    },
    outputs=("LATENT",),
    category="sampling",
    display="KSampler (Advanced)",
)
async def sample_part(
    context: Context,
    *,
    model: Model,
    noise_seed: int,
    steps: int,
    start_at_step: int,
    end_at_step: int,
    latent_image: Latent,
    **guided: Any,
) -> tuple[Latent]:
    """Draw only some of the steps; what the latents hold is redrawn by their share of all."""
    part = range(start_at_step, max(start_at_step, min(steps, end_at_step)))
    texts = {"prompt": guided["positive"], "negative": guided["negative"]}
    return await _sample(
        context, latent_image, part, len(part) / steps, **texts, seed=noise_seed, checkpoint=model.name
    )
