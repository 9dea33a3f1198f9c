"""Text encoders of the real classes with a handful of parameters."""

from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    T5Config,
    T5EncoderModel,
)

from runtimes.flux.server.pipeline.tiny.words import CLIP_LENGTH

WIDTH = 32
"""Numbers in a token's embedding."""


def clip_config(words: PreTrainedTokenizerBase) -> CLIPTextConfig:
    """A CLIP text encoder that fits to a tokenizer."""
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CLIP_LENGTH,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )


def clip(words: PreTrainedTokenizerBase) -> CLIPTextModel:
    """CLIP as FLUX and SDXL have it."""
    return CLIPTextModel(clip_config(words))


def projecting_clip(words: PreTrainedTokenizerBase) -> CLIPTextModelWithProjection:
    """CLIP with a projection, as SDXL's second encoder and SD3's are."""
    return CLIPTextModelWithProjection(clip_config(words))


def t5(words: PreTrainedTokenizerBase, width: int = WIDTH) -> T5EncoderModel:
    """T5's encoder."""
    return T5EncoderModel(
        T5Config(
            vocab_size=len(words),
            d_model=width,
            d_kv=8,
            d_ff=2 * width,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
        )
    )


def qwen(words: PreTrainedTokenizerBase) -> Qwen2_5_VLForConditionalGeneration:
    """Qwen2.5-VL, which reads text and images."""
    layers, heads = 2, 2
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(words),
                "hidden_size": WIDTH,
                "intermediate_size": 2 * WIDTH,
                "num_hidden_layers": layers,
                "num_attention_heads": heads,
                "num_key_value_heads": heads,
                "bos_token_id": words.eos_token_id,
                "eos_token_id": words.eos_token_id,
                "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
            },
            vision_config={
                "depth": layers,
                "hidden_size": WIDTH,
                "intermediate_size": 2 * WIDTH,
                "num_heads": heads,
                "out_hidden_size": WIDTH,
                "fullatt_block_indexes": [1],
            },
            vision_start_token_id=words.convert_tokens_to_ids("<|vision_start|>"),
            vision_end_token_id=words.convert_tokens_to_ids("<|vision_end|>"),
            image_token_id=words.convert_tokens_to_ids("<|image_pad|>"),
            video_token_id=words.convert_tokens_to_ids("<|video_pad|>"),
        )
    )
