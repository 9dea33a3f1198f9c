"""Tiny models of the real classes with random weights, for tests, demos and machines without a GPU.

``python -m runtimes.flux.standin.tiny FOLDER`` makes them, and a LoRA for FLUX under ``Lora``, always with the same
weights.
"""

import argparse
import json
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from runtimes.flux.server.pipeline.loading import keep_libraries_quiet
from runtimes.flux.server.pipeline.parts import TextAndImageProcessor

WIDTH = 32
"""Size of a token's embedding."""
_LATENT_CHANNELS = 16
_PACKED = 4 * _LATENT_CHANNELS
_FILL_CHANNELS = 2 * _PACKED + 256
"""The noise, the masked image, and the mask's 64 pixels for each of a token's four latents."""
_QWEN_TOKENS = {
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
}
_QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *_QWEN_TOKENS.values(), "<|vision_pad|>"]
_HEADS = {"attention_head_dim": 16, "num_attention_heads": 2, "axes_dims_rope": (4, 4, 8)}
_SEED = 20
_LORA_RANK = 4
_LORA_STRENGTH = 0.2


def clip_tokenizer() -> CLIPTokenizer:
    """A tokenizer like CLIP's, with a token for each byte; the end token has the highest number."""
    letters = sorted(ByteLevel.alphabet())
    pieces = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def t5_tokenizer() -> T5TokenizerFast:
    """A tokenizer like T5's, with a token for each character."""
    special = ("<pad>", "</s>", "<unk>")
    scores = [*((piece, 0.0) for piece in special), *((piece, -2.0) for piece in ("\u2581", *string.printable.strip()))]
    return T5TokenizerFast(vocab=scores, extra_ids=0, model_max_length=512)


def _qwen_tokenizer() -> Qwen2Tokenizer:
    vocabulary = {piece: number for number, piece in enumerate([*sorted(ByteLevel.alphabet()), *_QWEN_SPECIAL])}
    return Qwen2Tokenizer(vocab=vocabulary, merges=[], additional_special_tokens=_QWEN_SPECIAL)


def _clip_config() -> CLIPTextConfig:
    words = clip_tokenizer()
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        eos_token_id=words.eos_token_id,
    )


def _t5(width: int = WIDTH) -> T5EncoderModel:
    shape = {"d_model": width, "d_kv": 8, "d_ff": 2 * width, "num_layers": 2, "num_heads": 4}
    return T5EncoderModel(T5Config(vocab_size=len(t5_tokenizer()), feed_forward_proj="gated-gelu", **shape))


def autoencoder(**shape: Any) -> AutoencoderKL:
    """FLUX's autoencoder, with one latent for eight by eight pixels; tiny by default."""
    tiny = {"block_out_channels": (8, 8, 16, 16), "norm_num_groups": 4, "latent_channels": _LATENT_CHANNELS}
    flux = {"scaling_factor": 0.3611, "shift_factor": 0.1159, "use_quant_conv": False, "use_post_quant_conv": False}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    return AutoencoderKL(**blocks | flux | tiny | shape)


def _flux_parts(*, channels: int = _PACKED, guided: bool = True) -> dict[str, object]:
    transformer = FluxTransformer2DModel(
        in_channels=channels,
        out_channels=_PACKED,
        num_layers=1,
        num_single_layers=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=guided,
        **_HEADS,
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=guided),
        "vae": autoencoder(),
        "text_encoder": CLIPTextModel(_clip_config()),
        "tokenizer": clip_tokenizer(),
        "text_encoder_2": _t5(),
        "tokenizer_2": t5_tokenizer(),
        "transformer": transformer,
    }


def _sdxl() -> DiffusionPipeline:
    time_numbers, time_width = 6, 8
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        norm_num_groups=8,
        use_linear_projection=True,
        cross_attention_dim=2 * WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=time_width,
        projection_class_embeddings_input_dim=time_numbers * time_width + WIDTH,
    )
    noise = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return StableDiffusionXLPipeline(
        vae=autoencoder(latent_channels=4, shift_factor=None, use_quant_conv=True, use_post_quant_conv=True),
        text_encoder=CLIPTextModel(_clip_config()),
        text_encoder_2=CLIPTextModelWithProjection(_clip_config()),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=unet,
        scheduler=EulerDiscreteScheduler(timestep_spacing="leading", steps_offset=1, **noise),
        add_watermarker=False,
    )


def _sd3() -> DiffusionPipeline:
    transformer = SD3Transformer2DModel(
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=2 * WIDTH,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(),
        text_encoder=CLIPTextModelWithProjection(_clip_config()),
        tokenizer=clip_tokenizer(),
        text_encoder_2=CLIPTextModelWithProjection(_clip_config()),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=_t5(width=2 * WIDTH),
        tokenizer_3=t5_tokenizer(),
    )


def _qwen_image_edit() -> DiffusionPipeline:
    words = _qwen_tokenizer()
    transformer = QwenImageTransformer2DModel(num_layers=1, joint_attention_dim=WIDTH, **_HEADS)
    for part in transformer.transformer_blocks.modules():
        if isinstance(part, torch.nn.Linear):
            part.weight.data *= 4  # otherwise, images and instructions would change nothing visible
    return QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.02),
        vae=AutoencoderKLQwenImage(base_dim=4, num_res_blocks=1),
        text_encoder=_qwen_encoder(words),
        tokenizer=words,
        processor=TextAndImageProcessor(Qwen2VLImageProcessorPil(), words),
        transformer=transformer,
    )


def _qwen_encoder(words: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    shape: dict[str, Any] = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH}
    text = {
        "vocab_size": len(words),
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "bos_token_id": words.eos_token_id,
        "eos_token_id": words.eos_token_id,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
    }
    vision = {"depth": 2, "num_heads": 2, "out_hidden_size": WIDTH, "fullatt_block_indexes": [1]}
    config = Qwen2_5_VLConfig(
        text_config=shape | text,
        vision_config=shape | vision,
        **{field: words.convert_tokens_to_ids(token) for field, token in _QWEN_TOKENS.items()},
    )
    return Qwen2_5_VLForConditionalGeneration(config)


TINY: Mapping[str, Callable[[], DiffusionPipeline]] = {
    "flux": lambda: FluxPipeline(**_flux_parts()),
    "flux-schnell": lambda: FluxPipeline(**_flux_parts(guided=False)),
    "flux-fill": lambda: FluxFillPipeline(**_flux_parts(channels=_FILL_CHANNELS)),
    "flux-kontext": lambda: FluxKontextPipeline(**_flux_parts()),
    "qwen-image-edit": _qwen_image_edit,
    "sdxl": _sdxl,
    "sd3": _sd3,
}
"""The functions that make each model; ``flux-schnell`` is of the family flux, without guidance."""


def make_model(name: str, folder: Path) -> Path:
    """Write one of ``TINY`` in the format of diffusers to a folder with its name; return the folder."""
    torch.manual_seed(_SEED)
    target = folder / name
    TINY[name]().save_pretrained(target, safe_serialization=True)
    index = target / "model_index.json"
    parts = json.loads(index.read_text())
    if "processor" in parts:  # as in the hub's repositories
        parts["processor"] = ["transformers", "Qwen2VLProcessor"]
        index.write_text(json.dumps(parts, indent=2, sort_keys=True))
    return target


def make_lora(file: Path, seed: int = _SEED) -> Path:
    """Write a LoRA for tiny FLUX that visibly changes the picture to a .safetensors file; return the file."""
    torch.manual_seed(seed)
    weights = {}
    for name, module in TINY["flux"]().transformer.named_modules():
        if isinstance(module, torch.nn.Linear) and name.endswith(("attn.to_q", "attn.to_v", "proj_mlp")):
            down, up = torch.randn(_LORA_RANK, module.in_features), torch.randn(module.out_features, _LORA_RANK)
            weights[f"transformer.{name}.lora_A.weight"] = down * _LORA_STRENGTH
            weights[f"transformer.{name}.lora_B.weight"] = up * _LORA_STRENGTH
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, file)
    return file


def main() -> None:
    """Make the models in the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m runtimes.flux.standin.tiny", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the models' folders are made")
    parser.add_argument("--family", choices=list(TINY), action="append", help="make only this one; may be repeated")
    arguments = parser.parse_args()
    keep_libraries_quiet()
    for name in arguments.family or TINY:
        make_model(name, arguments.folder)
    make_lora(arguments.folder / "Lora" / "tiny.safetensors")


if __name__ == "__main__":
    main()
