"""Makes a Stable Diffusion 1 model of 18 MB that draws noise: ``python tiny_model.py FOLDER`` by InvokeAI's Python."""

import json
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

WIDTH = 768
"""By which InvokeAI knows the family."""
LETTERS = [chr(number) for number in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
"""What CLIP's tokenizer makes of the 256 bytes."""
PARTS = {
    "text_encoder": ("transformers", "CLIPTextModel"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
    "scheduler": ("diffusers", "DDIMScheduler"),
    "safety_checker": (None, None),
    "feature_extractor": (None, None),
}


def make(folder: Path) -> None:
    torch.manual_seed(0)
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    begin, end = len(words) - 2, len(words) - 1
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir(parents=True)
    (tokenizer / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": words[begin], **dict.fromkeys(("eos_token", "unk_token", "pad_token"), words[end])}
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(about))
    (tokenizer / "special_tokens_map.json").write_text(json.dumps(special))
    ids = {"bos_token_id": begin, "eos_token_id": end, "pad_token_id": end}
    sizes = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 12}
    CLIPTextModel(CLIPTextConfig(vocab_size=len(words), **sizes, **ids)).save_pretrained(folder / "text_encoder")
    UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    ).save_pretrained(folder / "unet")
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = AutoencoderKL(block_out_channels=(32,) * 4, latent_channels=4, sample_size=512, **blocks)
    vae.save_pretrained(folder / "vae")
    DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1).save_pretrained(
        folder / "scheduler"
    )
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.35.0", **PARTS}
    (folder / "model_index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
